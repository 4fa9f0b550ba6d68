-- Sends the requests of a file in turn, again and again: wrk … -- FILE RUN
-- A line has the method, path, first digit of the expected status, body, and then the names and values of the headers,
-- separated by tabs. Each # in a body becomes a text that is unique in the run.
-- wrk does not match responses with requests, so responses are counted by kind: the first digit of the
-- status, or "empty" for a page without content, or "login" for a redirect to the login page.
local requests, run, threads = {}, "", {}
at, sent, expected, received = 0, 0, {}, {} -- global, because done() reads them

function setup(thread)
  table.insert(threads, thread)
end

local function parse(line)
  local fields = {}
  for field in (line .. "\t"):gmatch("(.-)\t") do table.insert(fields, field) end
  local method, path, status, body = unpack(fields, 1, 4)
  local headers = {}
  for number = 5, #fields - 1, 2 do headers[fields[number]] = fields[number + 1] end
  local request = {method = method, path = path, status = status, headers = headers, body = body}
  if not body:find("#") then request.text = wrk.format(method, path, headers, method == "POST" and body or nil) end
  return request
end

function init(arguments)
  run = arguments[2]
  for line in io.lines(arguments[1]) do table.insert(requests, parse(line)) end
end

function request()
  at, sent = at % #requests + 1, sent + 1
  local next = requests[at]
  expected[next.status] = (expected[next.status] or 0) + 1
  return next.text or wrk.format(next.method, next.path, next.headers, (next.body:gsub("#", run .. "-" .. sent)))
end

function response(status, headers, body)
  local kind, target = tostring(status):sub(1, 1), headers["location"] or headers["Location"] or ""
  if target:find("/login", 1, true) then kind = "login" end
  if kind == "2" and #body == 0 then kind = "empty" end
  received[kind] = (received[kind] or 0) + 1
end

function done()
  local wrong = 0
  for _, thread in ipairs(threads) do
    local of_kind = thread:get("expected")
    for kind, number in pairs(thread:get("received")) do
      print("Received " .. kind .. ": " .. number)
      wrong = wrong + math.max(0, number - (of_kind[kind] or 0))
    end
  end
  print("Wrong responses: " .. wrong)
end
