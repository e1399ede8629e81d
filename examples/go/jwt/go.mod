module jwt

go 1.24
