--- Texts as rows: positions, differences, and how a buffer and a shared text correspond.
---
--- A *text* is what meerkat shares: rows joined by "\n". A text that ends in a newline has an empty
--- last row, which a Neovim buffer does not show: there it is the option 'eol'. Rows count from 0 in positions and from 1 in Lua tables.
--- Bytes are Neovim's unit, code points the protocol's. Pure functions; no buffer is touched here.

local M = {}

--- An edit list longer than this becomes several, since one transaction of tens of thousands of edits is
--- quadratic in the engine at the other end.
M.MAX_EDITS = 1000

--- Blocks above this many bytes are compared as a whole, not line by line (a guess: 4 MiB is the largest text).
local MAX_DIFF_BYTES = 8 * 1024 * 1024

local diff = (vim.text and vim.text.diff) or vim.diff

--- How many code points the first `byte` bytes of `row` have.
function M.chars(row, byte)
  local part = byte >= #row and row or row:sub(1, byte)
  if not part:find("[\128-\255]") then
    return #part
  end
  local _, count = part:gsub("[^\128-\191]", "")
  return count
end

--- The byte where code point `char` of `row` starts; past the end it is the end.
function M.byte_at(row, char)
  if not row:find("[\128-\255]") then
    return math.min(char, #row)
  end
  local byte, size = 1, #row
  while char > 0 and byte <= size do
    byte = byte + 1
    while byte <= size do
      local code = row:byte(byte)
      if code < 128 or code > 191 then
        break
      end
      byte = byte + 1
    end
    char = char - 1
  end
  return byte - 1
end

--- The bytes of the well-formed UTF-8 sequence that starts at `at`, or nil.
local function sequence_size(row, at)
  local a, b, c, d = row:byte(at, at + 3)
  local function follows(code, low, high)
    return code and code >= (low or 128) and code <= (high or 191)
  end
  if a < 128 then
    return 1
  elseif a >= 0xC2 and a <= 0xDF then
    return follows(b) and 2 or nil
  elseif a >= 0xE0 and a <= 0xEF then
    local low = a == 0xE0 and 0xA0 or 128
    local high = a == 0xED and 0x9F or 191 -- no surrogates
    return follows(b, low, high) and follows(c) and 3 or nil
  elseif a >= 0xF0 and a <= 0xF4 then
    local low = a == 0xF0 and 0x90 or 128
    local high = a == 0xF4 and 0x8F or 191
    return follows(b, low, high) and follows(c) and follows(d) and 4 or nil
  end
  return nil
end

--- `row` with U+FFFD for every byte that is no UTF-8, and for NUL, which no shared text has.
--- Returns the same string if nothing is wrong.
function M.clean(row)
  if not row:find("[%z\128-\255]") then
    return row
  end
  local parts, from, at = {}, 1, 1
  while at <= #row do
    local size = row:byte(at) ~= 0 and sequence_size(row, at) or nil
    if size then
      at = at + size
    else
      parts[#parts + 1] = row:sub(from, at - 1)
      parts[#parts + 1] = "\239\191\189"
      at = at + 1
      from = at
    end
  end
  if from == 1 then
    return row
  end
  parts[#parts + 1] = row:sub(from)
  return table.concat(parts)
end

--- The rows of a string.
function M.rows_of(text)
  return vim.split(text, "\n", { plain = true })
end

--- What a buffer with these lines shares: see the top of the file. `empty`: the buffer has no line at all
--- (Neovim shows one, but would write a file of 0 bytes).
function M.rows_of_buffer(lines, eol, empty)
  if empty or (#lines == 1 and lines[1] == "" and not eol) then
    return { "" }
  end
  if eol then
    lines[#lines + 1] = ""
  end
  return lines
end

--- How many lines a buffer shows of these rows, and its 'eol', and whether it is empty.
function M.shown(rows)
  local count = #rows
  if count == 1 and rows[1] == "" then
    return 1, true, true
  elseif rows[count] == "" then
    return count - 1, true, false
  end
  return count, false, false
end

--- The position after `head`, which begins at (line, char) = `byte` of that line; and its byte.
local function position_after(head, line, char, byte)
  local _, feeds = head:gsub("\n", "")
  if feeds == 0 then
    return { line = line, character = char + M.chars(head, #head) }, byte + #head
  end
  local last = head:match("[^\n]*$")
  return { line = line + feeds, character = M.chars(last, #last) }, #last
end

--- One edit that turns `old` into `new`, both starting at (line, char), without their common ends; nil if equal.
--- And the same in bytes: {line, byte, what goes, what comes}.
local function trimmed(old, new, line, char, byte)
  if old == new then
    return nil
  end
  local most = math.min(#old, #new)
  local head = 0
  -- Compare in strides first: rows may be megabytes long.
  while head + 64 <= most and old:sub(head + 1, head + 64) == new:sub(head + 1, head + 64) do
    head = head + 64
  end
  while head < most and old:byte(head + 1) == new:byte(head + 1) do
    head = head + 1
  end
  local function inside(text, at) -- would a cut after `at` bytes split a character?
    local code = text:byte(at + 1)
    return code and code >= 128 and code <= 191
  end
  while head > 0 and (inside(old, head) or inside(new, head)) do
    head = head - 1
  end
  most = most - head
  local tail = 0
  while tail + 64 <= most and old:sub(-tail - 64, -tail - 1) == new:sub(-tail - 64, -tail - 1) do
    tail = tail + 64
  end
  while tail < most and old:byte(#old - tail) == new:byte(#new - tail) do
    tail = tail + 1
  end
  while tail > 0 and (inside(old, #old - tail) or inside(new, #new - tail)) do
    tail = tail - 1
  end
  local start, start_byte = position_after(old:sub(1, head), line, char, byte or 0)
  local gone, come = old:sub(head + 1, #old - tail), new:sub(head + 1, #new - tail)
  local stop = position_after(gone, start.line, start.character, start_byte)
  local span = { start.line, start_byte, gone, come }
  return { range = { start = start, ["end"] = stop }, replacement = come }, span
end

local function joined(rows, first, last, closed)
  local text = table.concat(rows, "\n", first, last)
  return closed and last >= first and text .. "\n" or text
end

--- The edits that turn rows `old` (of a text, from row `first` on) into rows `new`.
---
--- `before` is the row before them (nil if first = 0); `followed` says whether the text goes on after them.
--- All positions are of the old text, in code points, in order and without overlap. The second list has the same
--- in bytes: {line, byte, what goes, what comes}.
function M.edits(old, new, first, before, followed)
  local head, old_end, new_end = 0, #old, #new
  while head < old_end and head < new_end and old[head + 1] == new[head + 1] do
    head = head + 1
  end
  while old_end > head and new_end > head and old[old_end] == new[new_end] do
    old_end, new_end = old_end - 1, new_end - 1
  end
  if old_end == head and new_end == head then
    return {}, {}
  end

  local result, spans = {}, {}
  local function add(edit, span)
    if edit then
      result[#result + 1] = edit
      spans[#spans + 1] = span
    end
  end
  --- Rows old[a+1..a+n] become new[b+1..b+m].
  local function hunk(a, n, b, m)
    local line = first + a
    if followed or a + n < #old then
      if n == m then
        for i = 1, n do
          add(trimmed(old[a + i], new[b + i], line + i - 1, 0))
        end
      else
        add(trimmed(joined(old, a + 1, a + n, true), joined(new, b + 1, b + m, true), line, 0))
      end
    elseif n > 0 and m > 0 then
      if n == m then
        for i = 1, n do
          add(trimmed(old[a + i], new[b + i], line + i - 1, 0))
        end
      else
        add(trimmed(joined(old, a + 1, a + n), joined(new, b + 1, b + m), line, 0))
      end
    else -- rows come or go at the end of the text: the newline before them, too
      local last = a > 0 and old[a] or before
      local char = M.chars(last, #last)
      local gone = n > 0 and "\n" .. joined(old, a + 1, a + n) or ""
      local come = m > 0 and "\n" .. joined(new, b + 1, b + m) or ""
      add(trimmed(gone, come, line - 1, char, #last))
    end
  end

  local a_text = old_end - head > 1 and new_end - head > 1 and joined(old, head + 1, old_end, true)
  local b_text = a_text and joined(new, head + 1, new_end, true)
  if a_text and #a_text + #b_text <= MAX_DIFF_BYTES then
    for _, found in ipairs(diff(a_text, b_text, { result_type = "indices" })) do
      local a, n, b, m = unpack(found)
      -- A hunk without rows names the row it follows.
      hunk(head + (n > 0 and a - 1 or a), n, head + (m > 0 and b - 1 or b), m)
    end
  else
    hunk(head, old_end - head, head, new_end - head)
  end
  return result, spans
end

--- Edits from the wire, in bytes of `rows`: a list of {row, byte, end_row, end_byte, lines}, in order.
---
--- Positions past the end are clamped; touching edits become one; nil and a sentence if they overlap.
function M.parse(rows, delta)
  local edits = {}
  for _, item in ipairs(delta) do
    local function place(position)
      local line, char = position.line, position.character
      if line >= #rows then
        return #rows - 1, #rows[#rows]
      end
      return line, M.byte_at(rows[line + 1], char)
    end
    local row, byte = place(item.range.start)
    local end_row, end_byte = place(item.range["end"])
    if row > end_row or (row == end_row and byte > end_byte) then
      return nil, "an edit ends before it starts"
    end
    local lines = M.rows_of((item.replacement:gsub("%z", "\239\191\189")))
    edits[#edits + 1] = { row, byte, end_row, end_byte, lines, order = #edits }
  end
  table.sort(edits, function(a, b)
    if a[1] ~= b[1] then
      return a[1] < b[1]
    elseif a[2] ~= b[2] then
      return a[2] < b[2]
    elseif a[3] ~= b[3] then
      return a[3] < b[3]
    elseif a[4] ~= b[4] then
      return a[4] < b[4]
    end
    return a.order < b.order
  end)
  local result = {}
  for _, edit in ipairs(edits) do
    local last = result[#result]
    if last and (last[3] > edit[1] or (last[3] == edit[1] and last[4] > edit[2])) then
      return nil, "edits overlap"
    elseif last and last[3] == edit[1] and last[4] == edit[2] then
      last[3], last[4] = edit[3], edit[4]
      local lines = last[5]
      lines[#lines] = lines[#lines] .. edit[5][1]
      for i = 2, #edit[5] do
        lines[#lines + 1] = edit[5][i]
      end
    else
      result[#result + 1] = edit
    end
  end
  return result
end

--- `rows` with `count` of them from index `first` (from 0) on replaced: the same table if their number stays.
function M.spliced(rows, first, count, new)
  local result = rows
  if count ~= #new then
    result = {}
    for i = 1, first do
      result[i] = rows[i]
    end
    for i = first + count + 1, #rows do
      result[i - count + #new] = rows[i]
    end
  end
  for i = 1, #new do
    result[first + i] = new[i]
  end
  return result
end

--- `rows` after parsed edits: the same table if only one row changed (not the last), else a new one.
function M.applied(rows, edits)
  if #edits == 1 and edits[1][1] == edits[1][3] and #edits[1][5] == 1 and edits[1][1] + 1 < #rows then
    local row, byte, _, end_byte, lines = unpack(edits[1])
    local old = rows[row + 1]
    rows[row + 1] = old:sub(1, byte) .. lines[1] .. old:sub(end_byte + 1)
    return rows
  end
  local result, next_row, head = {}, 0, nil
  local cut = 0 -- how many bytes of the row at hand are already in `head`, or gone
  for _, edit in ipairs(edits) do
    local row, byte, end_row, end_byte, lines = unpack(edit)
    if next_row < row and head then
      result[#result + 1] = head .. rows[next_row + 1]:sub(cut + 1)
      head, cut = nil, 0
      next_row = next_row + 1
    end
    while next_row < row do
      result[#result + 1] = rows[next_row + 1]
      next_row = next_row + 1
    end
    local start = (head or "") .. rows[row + 1]:sub((head and cut or 0) + 1, byte)
    if #lines == 1 then
      head = start .. lines[1]
    else
      result[#result + 1] = start .. lines[1]
      for i = 2, #lines - 1 do
        result[#result + 1] = lines[i]
      end
      head = lines[#lines]
    end
    next_row, cut = end_row, end_byte
  end
  if head then
    result[#result + 1] = head .. rows[next_row + 1]:sub(cut + 1)
    next_row = next_row + 1
  end
  for row = next_row + 1, #rows do
    result[#result + 1] = rows[row]
  end
  return result
end

--- The edits as a buffer needs them that shows `rows`: {edits, eol after, empty after}.
---
--- Where the text's final newline comes or goes, it is the option 'eol' that changes, so the last edit is
--- bent such that it touches shown lines only.
function M.for_buffer(rows, edits, after)
  local count, eol = M.shown(rows)
  local _, eol_after, empty_after = M.shown(after)
  local last = edits[#edits]
  local final_row, final_byte = #rows - 1, #rows[#rows]
  if not last or last[3] ~= final_row or last[4] ~= final_byte then
    return edits, eol_after, empty_after
  end
  local bent = {}
  for i = 1, #edits - 1 do
    bent[i] = edits[i]
  end
  local row, byte, end_row, end_byte, lines = unpack(last)
  lines = vim.list_slice(lines, 1, #lines)
  local was_empty = #rows == 1 and rows[1] == ""
  if eol and not was_empty then -- the row after the last newline is not shown
    end_row, end_byte = count - 1, #rows[count]
    if row == final_row then
      row, byte = end_row, end_byte
      table.insert(lines, 1, "")
    end
  end
  if eol_after and not empty_after then
    if #lines > 1 then
      lines[#lines] = nil -- the newline at the end is 'eol' now
    elseif row > 0 and byte == 0 then
      row, byte = row - 1, #rows[row] -- the newline before the deleted end is
    end
  end
  bent[#bent + 1] = { row, byte, end_row, end_byte, lines }
  return bent, eol_after, empty_after
end

--- Where a place (row, byte) is after parsed edits. `stay`: at an insertion, stay before it.
function M.moved(row, byte, edits, stay)
  local shift, tail_row, column = 0, -1, 0 -- rows added so far; bytes added in the row where the last edit ended
  for _, edit in ipairs(edits) do
    local from, from_byte, to, to_byte, lines = unpack(edit)
    if from > row or (from == row and (from_byte > byte or (stay and from_byte == byte))) then
      break
    end
    local start = from_byte + (tail_row == from and column or 0)
    if to > row or (to == row and to_byte > byte) then -- around the place: go where it starts
      return from + shift, start
    end
    column = (#lines > 1 and 0 or start) + #lines[#lines] - to_byte
    tail_row = to
    shift = shift + #lines - 1 - (to - from)
  end
  return row + shift, byte + (tail_row == row and column or 0)
end

return M
