--- The user's own cursor and selection, told to the others.

local text = require("meerkat.text")
local api = vim.api

local M = {}

local MAX_BLOCK_ROWS = 100 -- rows of a blockwise selection that are told

local function position(buf, row, byte)
  local line = api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ""
  return { line = row, character = text.chars(line, math.max(0, byte)) }
end

--- The selections of the current window, as the protocol has them: `end` is where the cursor is.
function M.ranges()
  local buf = api.nvim_get_current_buf()
  local cursor = api.nvim_win_get_cursor(0)
  local row, byte = cursor[1] - 1, cursor[2]
  local mode = api.nvim_get_mode().mode:sub(1, 1)
  local here = position(buf, row, byte)
  if mode ~= "v" and mode ~= "V" and mode ~= "\22" then
    return { { start = here, ["end"] = here } }
  end
  local start = vim.fn.getpos("v")
  local start_row, start_byte = start[2] - 1, start[3] - 1
  local function after(at_row, at_byte) -- selections include the character they end on
    local line = api.nvim_buf_get_lines(buf, at_row, at_row + 1, false)[1] or ""
    local char = line:sub(at_byte + 1):match("^[^\128-\191][\128-\191]*") or ""
    return position(buf, at_row, at_byte + #char)
  end
  local forward = start_row < row or (start_row == row and start_byte <= byte)
  if mode == "V" then
    local first, last = math.min(start_row, row), math.max(start_row, row)
    local top, bottom = position(buf, first, 0), position(buf, last, math.huge)
    return { forward and { start = top, ["end"] = bottom } or { start = bottom, ["end"] = top } }
  elseif mode == "\22" then
    local left, right = math.min(start_byte, byte), math.max(start_byte, byte)
    local ranges = {}
    local step = start_row <= row and -1 or 1
    local at = row
    for _ = 1, MAX_BLOCK_ROWS do -- the row of the cursor first
      ranges[#ranges + 1] = { start = position(buf, at, left), ["end"] = after(at, right) }
      if at == start_row then
        break
      end
      at = at + step
    end
    return ranges
  elseif forward then
    return { { start = position(buf, start_row, start_byte), ["end"] = after(row, byte) } }
  end
  return { { start = after(start_row, start_byte), ["end"] = here } }
end

--- Tell the others, if anything changed. `ranges`: instead of the present ones ({} for "not here").
function M.send(session, ranges)
  if session.state ~= "open" then
    return
  end
  session:flush()
  ranges = ranges or M.ranges()
  local key = vim.json.encode(ranges)
  if session.told_cursor ~= key .. session.opening then
    session.told_cursor = key .. session.opening
    session.folder:request("cursor", { uri = session.uri, ranges = ranges }, function() end)
  end
end

return M
