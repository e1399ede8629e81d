"""What the end-to-end tests stand on: the gateway's process, its peers, and a client that sends bytes as they are."""
