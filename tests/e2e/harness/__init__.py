"""The gateway's process, its peers, and clients and servers that keep bytes as they are."""
