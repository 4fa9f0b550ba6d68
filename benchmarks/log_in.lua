-- Each request logs in another one of the people in a file, a line for each: e-mail, tab, cookies. wrk … -- FILE PASSWORD
local people, password, at = {}, "", 0

function init(arguments)
  password = arguments[2]
  for line in io.lines(arguments[1]) do
    local email, cookies = line:match("(.-)\t(.*)")
    people[#people + 1] = {email = email:gsub("@", "%%40"), cookies = cookies}
  end
end

function request()
  at = at % #people + 1
  local headers = {["Content-Type"] = "application/x-www-form-urlencoded", ["Cookie"] = people[at].cookies}
  return wrk.format("POST", "/login", headers, "email=" .. people[at].email .. "&password=" .. password)
end
