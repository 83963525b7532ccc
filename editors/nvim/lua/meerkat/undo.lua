--- Undo and redo of the user's own edits only, however much others wrote since.
---
--- For every own edit the edits that take it back are kept, as byte offsets in the present text, and moved along when
--- others edit. What others deleted is not brought back, what they wrote inside is not taken away. Neovim's own undo
--- knows lines, not authors: it would undo others' edits, too (`:undo` still does).

local text = require("meerkat.text")
local api = vim.api

local M = {}

local MAX_GROUPS = 200 -- steps of `u` that are kept; 'undolevels' is 1000, but ours cost a little per edit of others
local MAX_WORK = 200000 -- pairs of edits to compare for one edit of others; above it the history is dropped (guess)

local Undo = {}
Undo.__index = Undo

function M.new(session)
  local self = setmetatable({ session = session, done = {}, undone = {}, open = false, mode = nil }, Undo)
  self:map()
  return self
end

function Undo:clear()
  self.done, self.undone, self.open = {}, {}, false
end

-- Edits are {position, deleted, inserted}, in bytes of the whole text; lists are parallel, as elsewhere.

--- Where an insertion at `position` goes after the edits `over`. `behind`: theirs comes first at the same place.
local function moved(position, over, behind)
  local shift = 0
  for _, edit in ipairs(over) do
    local at, stop = edit[1], edit[1] + edit[2]
    if at > position or (at == position and not behind) then
      break
    elseif stop > position then
      return at + shift + #edit[3]
    end
    shift = shift + #edit[3] - edit[2]
  end
  return position + shift
end

--- `edits` as they apply after `over`, both made on one text: only what is still there is deleted.
function M.transform(edits, over, behind)
  local result = {}
  for _, edit in ipairs(edits) do
    local inserted = edit[3]
    if inserted ~= "" then
      result[#result + 1] = { moved(edit[1], over, behind), 0, inserted }
    end
    local from, stop, shift = edit[1], edit[1] + edit[2], 0
    local function delete(upto)
      if upto > from then
        local last = result[#result]
        if last and last[1] + last[2] == from + shift and (last[2] > 0 or last[3] == inserted) then
          last[2] = last[2] + upto - from
        else
          result[#result + 1] = { from + shift, upto - from, "" }
        end
      end
    end
    if stop > from then
      for _, other in ipairs(over) do
        local other_stop = other[1] + other[2]
        if other[1] >= stop then
          break
        end
        if other[1] > from then
          delete(other[1])
          from = other[1]
        end
        shift = shift + #other[3] - other[2]
        from = math.max(from, other_stop)
      end
      delete(stop)
    end
  end
  return result
end

local function offset(rows, row)
  local size = 0
  for i = 1, row do
    size = size + #rows[i] + 1
  end
  return size
end

--- Parsed edits of the session's rows as offsets. `row`: what the first edit's row was, if it has changed already.
function Undo:offsets(edits, row)
  if #self.done == 0 and #self.undone == 0 or not edits[1] then
    return {}
  end
  local rows = self.session.rows
  local result, at, size = {}, 0, 0
  local first = edits[1][1]
  for _, edit in ipairs(edits) do
    local function reach(target)
      while at < target do
        size = size + #(at == first and row or rows[at + 1]) + 1
        at = at + 1
      end
    end
    reach(edit[1])
    local start = size + edit[2]
    reach(edit[3])
    result[#result + 1] = { start, size + edit[4] - start, table.concat(edit[5], "\n") }
  end
  return result
end

--- Others changed the text.
function Undo:others(edits)
  for _, stack in ipairs({ self.done, self.undone }) do
    local over, work = edits, 0
    for i = #stack, 1, -1 do
      local group = stack[i]
      for k = #group, 1, -1 do
        work = work + #group[k] * #over
        local list = group[k]
        group[k] = M.transform(list, over, true)
        over = M.transform(over, list, false)
      end
      if work > MAX_WORK then
        for _ = 1, i do
          table.remove(stack, 1)
        end
        break
      end
    end
  end
end

--- The user changed the text (or undid something). `spans` are of the rows before; see text.edits.
function Undo:own(step, spans)
  local rows = self.session.rows
  local at, size = step.first, offset(rows, step.first)
  local list, grown = {}, 0
  for _, span in ipairs(spans) do
    local row, byte, gone, come = unpack(span)
    if row < step.first then -- an edit at the end of the text begins with the newline before it
      size = size - #rows[step.first] - 1
      at = row
    end
    while at < row do
      size = size + #step.rows[at - step.first + 1] + 1
      at = at + 1
    end
    list[#list + 1] = { size + byte + grown, #come, gone }
    grown = grown + #come - #gone
    if row < step.first then
      size = size + #rows[step.first] + 1
      at = step.first
    end
  end
  local stack = self.mode == "undo" and self.undone or self.done
  if not self.mode then
    self.undone = {}
  end
  local inserting = not self.mode and (self.leaving or api.nvim_get_mode().mode:match("^[iR]") ~= nil)
  local group = stack[#stack]
  if inserting and self.open and group then
    local last = group[#group]
    local typed = #last == 1 and #list == 1 and last[1][3] == "" and last[1]
    if typed and list[1][3] == "" and list[1][1] == typed[1] + typed[2] then
      typed[2] = typed[2] + list[1][2] -- more typed at its end
    elseif
      typed
      and list[1][2] == 0
      and list[1][1] + #list[1][3] == typed[1] + typed[2]
      and list[1][1] >= typed[1]
    then
      typed[2] = typed[2] - #list[1][3] -- typed and deleted again
    else
      group[#group + 1] = list
    end
  else
    stack[#stack + 1] = { list }
    if #stack > MAX_GROUPS then
      table.remove(stack, 1)
    end
  end
  self.open = inserting
end

--- Insert mode was just left: what was typed in it is one step, and what comes now another.
function Undo:cut()
  self.leaving = true
  self.session:flush()
  self.leaving = nil
  self.open = false
end

--- Take back the last step (`mode` "undo") or the last undoing ("redo"). Returns false if there is none.
function Undo:step(mode)
  local session = self.session
  session:flush()
  local stack = mode == "undo" and self.done or self.undone
  local group = table.remove(stack)
  if not group then
    return false
  end
  self.mode = mode
  local cursor
  for k = #group, 1, -1 do
    local rows = session.rows
    local edits, row, size = {}, 0, 0
    for _, item in ipairs(group[k]) do
      local function place(target)
        while row + 1 < #rows and size + #rows[row + 1] < target do
          size = size + #rows[row + 1] + 1
          row = row + 1
        end
        return row, math.max(0, math.min(target - size, #rows[row + 1]))
      end
      local from, from_byte = place(item[1])
      local to, to_byte = place(item[1] + item[2])
      local edit = { from, from_byte, to, to_byte, text.rows_of(item[3]) }
      edits[#edits + 1] = edit
    end
    if #edits > 0 then
      cursor = { edits[1][1], edits[1][2] }
      local bent, eol, empty = text.for_buffer(rows, edits, text.applied(vim.list_slice(rows), edits))
      for i = #bent, 1, -1 do
        local edit = bent[i]
        api.nvim_buf_set_text(session.buf, edit[1], edit[2], edit[3], edit[4], edit[5])
      end
      if empty then
        api.nvim_buf_set_lines(session.buf, 0, -1, true, {})
      end
      vim.bo[session.buf].eol = eol
      session:mark_all()
      -- A group is one step of the other stack, too: its lists are gathered there.
      local other = mode == "undo" and self.undone or self.done
      local before = #other
      session:flush()
      if #other > before and self.joined then
        local list = table.remove(other)
        table.insert(other[#other], list[1])
      elseif #other > before then
        self.joined = true
      end
    end
  end
  self.mode, self.joined = nil, nil
  if cursor then
    local count = api.nvim_buf_line_count(session.buf)
    local row = math.min(cursor[1], count - 1)
    pcall(api.nvim_win_set_cursor, 0, { row + 1, cursor[2] })
  end
  return true
end

function Undo:map()
  local buf = self.session.buf
  self.mapped = {}
  local function map(key, mode, empty)
    if vim.fn.maparg(key, "n") ~= "" then -- the user's own (an undo tree, say) stays
      return
    end
    self.mapped[#self.mapped + 1] = key
    vim.keymap.set("n", key, function()
      for _ = 1, vim.v.count1 do
        if self.session.state ~= "open" then
          vim.cmd("normal! " .. vim.api.nvim_replace_termcodes(key, true, true, true))
        elseif not self:step(mode) then
          vim.notify(empty)
          break
        end
      end
    end, { buffer = buf, desc = "meerkat: " .. mode .. " your own last change" })
  end
  map("u", "undo", "meerkat: nothing of yours to undo (:undo goes on in Neovim's own history)")
  map("<C-r>", "redo", "meerkat: nothing of yours to redo")
end

function Undo:unmap()
  for _, key in ipairs(self.mapped) do
    pcall(vim.keymap.del, "n", key, { buffer = self.session.buf })
  end
  self.mapped = {}
end

return M
