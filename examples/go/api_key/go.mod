module api_key

go 1.24
