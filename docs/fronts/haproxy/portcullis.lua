-- Asks Portcullis about a request and applies the answer. It needs HAProxy 2.6 or later, and no other Lua module.

local url = os.getenv("PORTCULLIS_URL")
local token = os.getenv("PORTCULLIS_TOKEN")

-- Headers of a client that are not sent to Portcullis: those about the connection, and those that this script sets
-- itself.
local not_passed = {
	["connection"] = true,
	["content-length"] = true,
	["expect"] = true,
	["keep-alive"] = true,
	["te"] = true,
	["trailer"] = true,
	["transfer-encoding"] = true,
	["upgrade"] = true,
	["x-forwarded-for"] = true,
	["x-forwarded-host"] = true,
	["x-forwarded-method"] = true,
	["x-forwarded-proto"] = true,
	["x-forwarded-uri"] = true,
	["x-portcullis-token"] = true,
}

-- The values of a header, in order. HAProxy counts them from 0, Lua from 1.
local function listed(values)
	local list = {}
	for index = 0, #values do
		list[#list + 1] = values[index]
	end
	return list
end

local function question(txn)
	local headers = {}
	for name, values in pairs(txn.http:req_get_headers()) do
		if not not_passed[name] then
			headers[name] = listed(values)
		end
	end
	headers["x-forwarded-method"] = { txn.sf:method() }
	headers["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
	headers["x-forwarded-host"] = listed(txn.http:req_get_headers()["host"] or {})
	headers["x-forwarded-uri"] = { txn.sf:pathq() }
	headers["x-forwarded-for"] = { txn.sf:src() }
	if token then
		headers["x-portcullis-token"] = { token }
	end
	-- The HTTP client sets the Host of the request to Portcullis.
	headers["host"] = nil
	return headers
end

local function names(value)
	return string.gmatch(value and value[0] or "", "[^,]+")
end

local function allow(txn, headers)
	for name in names(headers["x-portcullis-remove"]) do
		txn.http:req_del_header(name)
	end
	for name in names(headers["x-portcullis-set"]) do
		txn.http:req_del_header(name)
		for _, value in ipairs(listed(headers[name] or {})) do
			txn.http:req_add_header(name, value)
		end
	end
	local for_client = {}
	for name in names(headers["x-portcullis-client"]) do
		for_client[name] = listed(headers[name] or {})
	end
	txn:set_priv(for_client)
	txn:set_var("txn.portcullis", "allow")
end

local function refuse(txn, answer)
	local reply = txn:reply()
	reply:set_status(answer.status)
	for name, values in pairs(answer.headers or {}) do
		if name ~= "content-length" and name ~= "connection" and name ~= "transfer-encoding" then
			for _, value in ipairs(listed(values)) do
				reply:add_header(name, value)
			end
		end
	end
	reply:set_body(answer.body or "")
	txn:done(reply)
end

core.register_action("portcullis", { "http-req" }, function(txn)
	txn:set_var("txn.portcullis", "ask")
	local answer = core.httpclient():get({ url = url, headers = question(txn), timeout = 10000 })
	if answer and answer.status == 200 then
		allow(txn, answer.headers)
	elseif answer and answer.status >= 300 and answer.status < 600 then
		refuse(txn, answer)
	end
	-- Otherwise there is no valid answer, and haproxy.cfg denies the request.
end)

core.register_action("portcullis-answer", { "http-res" }, function(txn)
	for name, values in pairs(txn:get_priv() or {}) do
		for _, value in ipairs(values) do
			txn.http:res_add_header(name, value)
		end
	end
end)
