-- Random checks of the plugin's pure parts, run inside Neovim: nvim -l properties.lua PLUGIN SEED CASES
local plugin, seed, cases = arg[1], tonumber(arg[2]), tonumber(arg[3])
package.path = plugin .. "/lua/?.lua;" .. package.path
local text = require("meerkat.text")
local undo = require("meerkat.undo")
math.randomseed(seed)
vim.o.swapfile = false

local PIECES = { "a", "b", "é", "e\204\129", "😀", "\n", "\n", "x", " ", "\r" }

local function random_text(most)
  local parts = {}
  for i = 1, math.random(0, most) do
    parts[i] = PIECES[math.random(#PIECES)]
  end
  return table.concat(parts)
end

local function characters(string)
  local list = {}
  for char in string:gmatch("[^\128-\191][\128-\191]*") do
    list[#list + 1] = char
  end
  return list
end

local function position(list, count)
  local line, char = 0, 0
  for i = 1, count do
    if list[i] == "\n" then
      line, char = line + 1, 0
    else
      char = char + 1
    end
  end
  return { line = line, character = char }
end

-- The slow and obvious way: by characters from the start of the text.
local function applied_slowly(string, delta)
  local rows, list, parts, at = text.rows_of(string), characters(string), {}, 0
  local function offset(place)
    local count = place.character
    for i = 1, place.line do
      count = count + #characters(rows[i]) + 1
    end
    return count
  end
  for _, edit in ipairs(delta) do
    local from, to = offset(edit.range.start), offset(edit.range["end"])
    assert(at <= from and from <= to, "order")
    parts[#parts + 1] = table.concat(list, "", at + 1, from) .. edit.replacement
    at = to
  end
  return table.concat(parts) .. table.concat(list, "", at + 1)
end

local buf = vim.api.nvim_get_current_buf()
vim.bo.fixeol = false

local function show(rows)
  local count, eol, empty = text.shown(rows)
  vim.api.nvim_buf_set_lines(buf, 0, -1, true, empty and {} or vim.list_slice(rows, 1, count))
  if not empty and count == 1 and rows[1] == "" then
    vim.api.nvim_buf_set_text(buf, 0, 0, 0, 0, { "" })
  end
  vim.bo.eol = eol
end

local function shown()
  local lines = vim.api.nvim_buf_get_lines(buf, 0, -1, true)
  local empty = #lines == 1 and lines[1] == "" and vim.fn.wordcount().bytes == 0
  return table.concat(text.rows_of_buffer(lines, vim.bo.eol, empty), "\n")
end

local function check(old, delta, wanted)
  local rows = text.rows_of(old)
  local edits = assert(text.parse(rows, delta))
  local after = text.applied(vim.list_slice(rows), edits)
  assert(table.concat(after, "\n") == wanted, vim.inspect({ "applied", old, delta, wanted }))
  show(rows)
  assert(shown() == old, vim.inspect({ "shown", old, shown() }))
  local bent, eol, empty = text.for_buffer(rows, edits, after)
  for i = #bent, 1, -1 do
    local edit = bent[i]
    vim.api.nvim_buf_set_text(buf, edit[1], edit[2], edit[3], edit[4], edit[5])
  end
  if empty then
    vim.api.nvim_buf_set_lines(buf, 0, -1, true, {})
  end
  vim.bo.eol = eol
  assert(shown() == wanted, vim.inspect({ "buffer", old, delta, wanted, shown() }))
end

for _ = 1, cases do
  local old, new = random_text(12), random_text(12)
  local list = characters(old)
  if math.random() < 0.5 then
    local cut = math.random(0, #list)
    new = table.concat(list, "", 1, cut) .. random_text(3)
      .. table.concat(list, "", math.min(#list + 1, cut + 1 + math.random(0, 3)))
  end
  -- What is sent for a change leads from the old text to the new one.
  local delta = text.edits(text.rows_of(old), text.rows_of(new), 0, nil, false)
  assert(applied_slowly(old, delta) == new, vim.inspect({ "edits", old, new, delta }))
  check(old, delta, new)
  -- And what comes is applied as it is meant.
  local places = {}
  for i = 1, 2 * math.random(0, 3) do
    places[i] = math.random(0, #list)
  end
  table.sort(places)
  local come = {}
  for i = 1, #places, 2 do
    local range = { start = position(list, places[i]), ["end"] = position(list, places[i + 1]) }
    come[#come + 1] = { range = range, replacement = random_text(3) }
  end
  check(old, come, applied_slowly(old, come))
end

-- Undo: own and others' edits lead to one text, in either order.
local function random_edits(size)
  local list, at = {}, 0
  for _ = 1, math.random(0, 3) do
    if at > size then
      break
    end
    local place = math.random(at, size)
    local gone = math.random() < 0.4 and 0 or math.random(0, math.min(3, size - place))
    list[#list + 1] = { place, gone, math.random() < 0.6 and random_text(2) or "" }
    at = place + math.max(gone, 1)
  end
  return list
end

local function apply(string, edits)
  local parts, at = {}, 0
  for _, edit in ipairs(edits) do
    assert(at <= edit[1])
    parts[#parts + 1] = string:sub(at + 1, edit[1]) .. edit[3]
    at = edit[1] + edit[2]
  end
  assert(at <= #string)
  return table.concat(parts) .. string:sub(at + 1)
end

for _ = 1, cases * 5 do
  local string = random_text(8)
  local ours, theirs = random_edits(#string), random_edits(#string)
  local one = apply(apply(string, ours), undo.transform(theirs, ours, true))
  local other = apply(apply(string, theirs), undo.transform(ours, theirs, false))
  assert(one == other, vim.inspect({ "undo", string, ours, theirs, one, other }))
end

assert(text.clean("a\255é\237\160\128z\0q") == "a\239\191\189é" .. ("\239\191\189"):rep(3) .. "z\239\191\189q")
io.write("all hold\n")
