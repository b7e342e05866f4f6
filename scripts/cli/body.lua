-- body: the text behind --body: JSON, @FILE, or - for standard input; or nil and what is
-- wrong. To be read before a command goes to the router's folder.

return function(given)
  if given == nil then return nil end
  if given == "-" then return io.read("a") end
  if given:sub(1, 1) ~= "@" then return given end
  local file, why = io.open(given:sub(2), "rb")
  if not file then return nil, "--body: " .. why end
  local text = file:read("a")
  file:close()
  return text
end
