-- calls: mistakes in calls of tx that can be seen in the text.

local calls = {}

local WORDS <const> = {
  dot = "tx.%s(...) is called without its tx: write tx:%s(...)",
  field = "tx:emit knows no field '%s'",
}

function calls.judge(constants, found)
  for _, constant in ipairs(constants) do
    local words = WORDS[constant.kind]
    if words then
      found:error({ file = constant.file, line = constant.line, column = constant.column },
        words:format(constant.text, constant.text))
    end
  end
end

return calls
