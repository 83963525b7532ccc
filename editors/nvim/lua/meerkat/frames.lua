--- JSON-RPC messages with Content-Length headers, as bytes. No input or output here.

local M = {}

--- The most bytes one message may have: a text of 4 MiB, each character escaped as \u00xx, and some.
M.MAX_BYTES = 64 * 1024 * 1024
local MAX_HEADER = 4096

function M.encode(message)
  message.jsonrpc = "2.0"
  local body = vim.json.encode(message)
  return ("Content-Length: %d\r\n\r\n%s"):format(#body, body)
end

--- A function that takes bytes as they come and returns the messages that are complete; nil and a sentence if
--- what comes is not the protocol.
function M.decoder()
  local pieces, size = {}, 0 -- what came and is not yet used; joined only when it is enough
  local wanted -- bytes of the message at hand, with its header
  local header_end
  return function(data)
    pieces[#pieces + 1] = data
    size = size + #data
    local messages = {}
    while size > 0 and not (wanted and size < wanted) do
      local bytes = table.concat(pieces)
      if not wanted then
        local _, last = bytes:find("\r\n\r\n", 1, true)
        if not last then
          if size > MAX_HEADER then
            return nil, "the header of a message does not end"
          end
          pieces = { bytes }
          break
        end
        local length = tonumber(("\r\n" .. bytes:sub(1, last)):lower():match("\r\ncontent%-length:%s*(%d+)%s*\r\n"))
        if not length or length > M.MAX_BYTES then
          return nil, "a message without a usable Content-Length"
        end
        header_end, wanted = last, last + length
      end
      if size >= wanted then
        local ok, message =
          pcall(vim.json.decode, bytes:sub(header_end + 1, wanted), { luanil = { object = true, array = true } })
        if not ok or type(message) ~= "table" then
          return nil, "a message that is no JSON object"
        end
        messages[#messages + 1] = message
        bytes = bytes:sub(wanted + 1)
        wanted = nil
      end
      pieces, size = { bytes }, #bytes
    end
    return messages
  end
end

return M
