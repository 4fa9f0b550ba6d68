-- Sends the requests of a file again and again, one a line: method, path, first digit of the status, cookies, body, with
-- tabs between. Each # in a body becomes what no other request has. wrk … -- FILE NAME_OF_THIS_RUN
-- wrk does not say which answer belongs to which request. So the answers of each kind are counted, and who is sent to
-- the log-in page where others were not is one of a kind of its own.
local asks, run, threads = {}, "", {}
at, sent, wanted, got = 0, 0, {}, {} -- for done(), which sees only what is global

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  run = arguments[2]
  for line in io.lines(arguments[1]) do
    local method, path, status, cookies, body = line:match("(.-)\t(.-)\t(.-)\t(.-)\t(.*)")
    local headers = {["Sec-Fetch-Site"] = "same-origin"}
    if cookies ~= "" then headers["Cookie"] = cookies end
    if method == "POST" then headers["Content-Type"] = "application/x-www-form-urlencoded" end
    local ask = {method = method, path = path, status = status, headers = headers, body = body}
    if not body:find("#") then ask.text = wrk.format(method, path, headers, body) end
    table.insert(asks, ask)
  end
end

function request()
  at, sent = at % #asks + 1, sent + 1
  local ask = asks[at]
  wanted[ask.status] = (wanted[ask.status] or 0) + 1
  return ask.text or wrk.format(ask.method, ask.path, ask.headers, (ask.body:gsub("#", run .. "-" .. sent)))
end

function response(status, headers)
  local kind, target = tostring(status):sub(1, 1), headers["location"] or headers["Location"] or ""
  if target:find("/login", 1, true) then kind = "log-in page" end
  got[kind] = (got[kind] or 0) + 1
end

function done()
  local wrong = 0
  for _, thread in ipairs(threads) do
    local asked = thread:get("wanted")
    for kind, number in pairs(thread:get("got")) do
      wrong = wrong + math.max(0, number - (asked[kind] or 0))
    end
  end
  print("Wrong answers: " .. wrong)
end
