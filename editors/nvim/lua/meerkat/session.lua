--- One buffer that shows one shared text: what changed here goes out, what changed elsewhere comes in.
---
--- `rows` is the text as the server must have it once everything sent has arrived. A change of the buffer only
--- marks which lines are *dirty*; on the next turn of the main loop the buffer itself is compared with `rows`
--- there, so the edits sent are right by construction, whatever Neovim reported (a macro or `:g` is one edit, and
--- an undo needs no case of its own). Both revision counters start at 0 when the text is opened. An edit of the
--- server counts only if it knows all of ours; else it is dropped, and the server sends it again, transformed.

local text = require("meerkat.text")
local api = vim.api
local uv = vim.uv or vim.loop

local M = {}

local MAX_REOPENS = 3 -- within REOPEN_WINDOW; more of them, and the buffer is let go (guess)
local REOPEN_WINDOW = 10 -- seconds
local RETRY_LOCKED = 20 -- ms until the next try while Neovim forbids changes (E565)
local CORRECTION_WAIT = 80 -- ms after a reopening in which a correction of the server's is awaited (guess)
local CHECK_DELAY = 2000 -- ms of rest after which the buffer is compared with what we know (guess)

local Session = {}
Session.__index = Session

for _, part in ipairs({ "buffer", "places" }) do
  for name, method in pairs(require("meerkat." .. part)) do
    Session[name] = method
  end
end

--- A session for `buf`, in state "new". `folder` sends and keeps it; see folder.lua.
function M.new(folder, buf, uri)
  return setmetatable({
    folder = folder,
    buf = buf,
    uri = uri,
    state = "new", -- "opening", "open", "waiting" (no process), "refused" (see `reason`), "closed"
    rows = nil,
    dirty = nil, -- {first, old_last, new_last}: rows[first..old_last) are lines[first..new_last) now
    editor_revision = 0,
    server_revision = 0,
    unacknowledged = {}, -- what undoes the edits that were sent and not answered, oldest first
    incoming = {}, -- edits of the server that could not be applied yet
    reopened = {}, -- times
    saved = nil, -- saving.lua
    undo = nil, -- undo.lua
  }, Session)
end

-- Opening and closing

--- Open the text. `base`: rows to begin from instead of the buffer's, if it changed while nobody listened.
function Session:open(base)
  if not api.nvim_buf_is_loaded(self.buf) then
    return self:forget()
  end
  self:prepare()
  self:listen()
  local count, eol, empty = self:shape()
  self.dirty = nil
  if base then
    self.rows = base
    self.dirty = { 0, (text.shown(base)), count }
  else
    self.rows = text.rows_of_buffer(self:lines(0, -1), eol, empty)
  end
  self.state = "opening"
  self.editor_revision, self.server_revision = 0, 0
  self.unacknowledged, self.incoming = {}, {}
  self.opening = (self.opening or 0) + 1
  local opening = self.opening
  self.corrected = false
  self.crlf = nil -- what the server says of the file's line ends, if it does
  if self.undo then
    self.undo:clear()
  end
  local content = table.concat(self.rows, "\n")
  self.folder:request("open", { uri = self.uri, content = content }, function(problem)
    if self.opening ~= opening or self.state ~= "opening" then
      return
    elseif problem then
      return self:refuse(problem)
    end
    self.state = "open"
    self.reason = nil
    self.folder:opened(self)
    if self.dirty and base then
      -- What we sent before and what the server has of it shows in its correction, if there is one.
      vim.defer_fn(function()
        if self.opening == opening and self.state == "open" then
          self.holding = false
          self:flush()
        end
      end, CORRECTION_WAIT)
      self.holding = true
    else
      self.holding = false
      self:flush()
    end
  end)
end

function Session:refuse(problem)
  self.reason = tostring(problem.data and problem.data ~= "" and problem.data or problem.message or "refused")
  self.state = "refused"
  self:give_back()
  self.folder:refused(self)
end

--- Let Neovim tell us of every change.
function Session:listen()
  if self.listening then
    return
  end
  self.listening = true
  api.nvim_buf_attach(self.buf, false, {
    on_lines = function(_, _, _, first, last, new_last)
      if not self.listening then
        return true
      elseif not self.applying then
        self:mark(first, last, new_last)
      end
    end,
    on_reload = function()
      self:mark_all()
      -- `:edit` read the file again; the live text is what counts, and is as new as that or newer.
      vim.schedule(function()
        if self.state == "open" then
          self:reopen("the file was read again", true)
        end
      end)
    end,
    on_detach = function()
      self.listening = false
    end,
  })
end

--- Say goodbye and forget the buffer.
function Session:close()
  if self.state == "open" then
    self:flush()
  end
  self:leave()
end

--- The same while the buffer goes away and cannot be read any more.
function Session:leave()
  if self.state == "open" or self.state == "opening" then
    self.folder:request("close", { uri = self.uri }, function() end)
  end
  self:forget()
end

function Session:forget()
  if self.state == "closed" then
    return
  end
  self.state = "closed"
  self.listening = false
  self:give_back()
  self.folder:forgot(self)
end

--- Open anew, with the buffer's text: the server corrects it to its own. What the user had stays in the undo history.
function Session:reopen(why, quiet)
  local now = uv.hrtime() / 1e9
  self.reopened = vim.tbl_filter(function(at)
    return now - at < REOPEN_WINDOW
  end, self.reopened)
  self.reopened[#self.reopened + 1] = now
  if #self.reopened > MAX_REOPENS and not quiet then
    self.folder:request("close", { uri = self.uri }, function() end)
    self.state = "refused"
    self.reason = "given up after several errors: " .. why
    self:give_back()
    return self.folder:refused(self, true)
  end
  if not quiet then
    self.folder:tell(("%s: opened anew (%s)"):format(self:name(), why))
  end
  self.folder:request("close", { uri = self.uri }, function() end)
  self:open()
end

--- The process is gone. What we sent and it never answered counts as unsent.
function Session:disconnect()
  if self.state == "open" or self.state == "opening" then
    self.known = table.concat(self.rows, "\n")
    self.base = self:acknowledged()
    self.state = "waiting"
  end
end

--- The process is there again.
function Session:reconnect()
  if self.state == "waiting" then
    self:open(self.base)
    self.base = nil
  elseif self.state == "new" then
    self:open()
  end
end

--- Rows without the edits that the server has not answered.
function Session:acknowledged()
  local rows = self.rows
  for i = #self.unacknowledged, 1, -1 do
    local step = self.unacknowledged[i]
    rows = text.spliced(rows, step.first, step.count, step.rows)
  end
  return rows
end

-- Changes here

--- Lines [first, last) of the buffer are [first, new_last) now.
function Session:mark(first, last, new_last)
  local dirty = self.dirty
  if not dirty then
    self.dirty = { first, last, new_last }
  else
    if last > dirty[3] then
      dirty[2] = dirty[2] + last - dirty[3]
      dirty[3] = last
    end
    dirty[1] = math.min(dirty[1], first)
    dirty[3] = dirty[3] + new_last - last
  end
  self:flush_soon()
end

function Session:mark_all()
  if self.rows then
    self.dirty = { 0, (text.shown(self.rows)), api.nvim_buf_line_count(self.buf) }
    self:flush_soon()
  end
end

function Session:flush_soon()
  if not self.flushing then
    self.flushing = true
    vim.schedule(function()
      self.flushing = false
      self:flush()
    end)
  end
end

--- Bring `rows` up to the buffer; returns the edits that do, how to take them back, and the same in bytes.
function Session:take()
  local dirty = self.dirty
  self.dirty = nil
  local count, eol, empty = self:shape()
  local rows = self.rows
  local shown, eol_before, empty_before = text.shown(rows)
  if empty_before and not empty and not eol then
    vim.bo[self.buf].eol = true -- the first line of a text ends as lines do
    eol = true
  end
  if not dirty or dirty[2] > shown or shown - dirty[2] ~= count - dirty[3] or dirty[3] < dirty[1] then
    dirty = { 0, shown, count } -- Neovim reported something else than happened
  end
  local first, last = dirty[1], dirty[2]
  local new
  if empty then
    first, last, new = 0, #rows, { "" }
  elseif empty_before then
    first, last, new = 0, 1, text.rows_of_buffer(self:lines(0, -1), eol, false)
  elseif eol ~= eol_before then
    last = #rows
    new = self:lines(first, -1)
    if eol then
      new[#new + 1] = ""
    end
  else
    new = self:lines(first, dirty[3])
  end
  local old = {}
  for i = first + 1, last do
    old[#old + 1] = rows[i]
  end
  local edits, spans = text.edits(old, new, first, rows[first], last < #rows)
  if #edits > 0 then
    self.rows = text.spliced(rows, first, #old, new)
  end
  return edits, { first = first, count = #new, rows = old }, spans
end

--- Send what changed here.
function Session:flush()
  if not self.dirty or self.state ~= "open" or self.holding or not api.nvim_buf_is_loaded(self.buf) then
    return
  end
  local edits, step, spans = self:take()
  if #edits == 0 then
    return
  end
  self.user_dirty = true
  self.check = nil
  if self.undo then
    self.undo:own(step, spans)
  end
  self.unacknowledged[#self.unacknowledged + 1] = step
  local opening = self.opening
  for last = #edits, 1, -text.MAX_EDITS do -- from the end, so that the positions before it stay
    local first = math.max(1, last - text.MAX_EDITS + 1)
    self.editor_revision = self.editor_revision + 1
    local delta = vim.list_slice(edits, first, last)
    self.folder:request("edit", { uri = self.uri, revision = self.server_revision, delta = delta }, function(problem)
      if self.opening ~= opening or self.state ~= "open" then
        return
      elseif problem then
        self:reopen(problem.data ~= "" and problem.data or problem.message or "an edit was refused")
      elseif first == 1 then
        table.remove(self.unacknowledged, 1)
      end
    end)
  end
  self:check_later()
end

--- After a rest, compare the whole buffer with what we know: if Neovim ever kept a change from us, it goes out now.
function Session:check_later()
  if self.check then
    return
  end
  self.check = true
  vim.defer_fn(function()
    if not self.check then
      return self:check_later()
    end
    self.check = nil
    if self.state == "open" and not self.dirty and api.nvim_buf_is_loaded(self.buf) then
      local count, eol, empty = self:shape()
      local lines = text.rows_of_buffer(api.nvim_buf_get_lines(self.buf, 0, -1, true), eol, empty)
      local same = #lines == #self.rows
      for i = 1, same and #lines or 0 do
        if lines[i] ~= self.rows[i] then
          same = false
          break
        end
      end
      if not same then
        self.unreported = (self.unreported or 0) + 1
        self.dirty = { 0, (text.shown(self.rows)), count }
        self:flush()
      end
    end
  end, CHECK_DELAY)
end

-- Changes elsewhere

--- An edit of the server's.
function Session:receive(revision, delta)
  if type(revision) ~= "number" or type(delta) ~= "table" then
    return self:reopen("an edit that makes no sense")
  end
  self.incoming[#self.incoming + 1] = { revision, delta }
  self:work()
end

--- Apply what came, in order, as far as Neovim lets us.
function Session:work()
  while #self.incoming > 0 and self.state == "open" do
    self:flush()
    local revision, delta = unpack(self.incoming[1])
    if revision == self.editor_revision then
      local done, why = self:apply(delta)
      if done == false then
        if not self.retrying then
          self.retrying = true
          vim.defer_fn(function()
            self.retrying = false
            self:work()
          end, RETRY_LOCKED)
        end
        return
      elseif done == nil then
        return self:reopen(why)
      end
    end
    table.remove(self.incoming, 1)
  end
end

--- Apply one edit list; true, false if Neovim forbids changes now, or nil and why it is impossible.
function Session:apply(delta)
  local wellformed, edits, why = pcall(text.parse, self.rows, delta)
  if not wellformed or not edits then
    return nil, wellformed and why or "an edit that makes no sense"
  end
  local first = edits[1] and edits[1][1] + 1
  local row = first and self.rows[first]
  local after = text.applied(self.rows, edits)
  if self.holding then -- just opened again: the buffer has more than `rows`
    self.holding = false
    if table.concat(after, "\n") == self.known then -- the server has all we sent before: only the rest is new
      self.rows = after
      self.server_revision = self.server_revision + 1
      self:mark_all()
    elseif row then
      self.rows[first] = row -- it comes again, transformed
    end
    self:flush()
    return true
  end
  local bent, eol, empty = text.for_buffer(self.rows, edits, after)
  local clean = not vim.bo[self.buf].modified
  local places = self:places(edits)
  local offsets = self.undo and self.undo:offsets(edits, row)
  local started = false
  local ok, problem = self:change(function()
    for i = #bent, 1, -1 do
      local edit = bent[i]
      api.nvim_buf_set_text(self.buf, edit[1], edit[2], edit[3], edit[4], edit[5])
      started = true
    end
    if empty then
      api.nvim_buf_set_lines(self.buf, 0, -1, true, {})
    end
    if vim.bo[self.buf].eol ~= eol then
      vim.bo[self.buf].eol = eol
    end
  end)
  if not ok and not started then
    if row then
      self.rows[first] = row
    end
    if tostring(problem):find("E565") or tostring(problem):find("E523") then
      return false
    end
    return nil, tostring(problem)
  end
  self.rows = after
  if self.undo then
    self.undo:others(offsets)
  end
  self.server_revision = self.server_revision + 1
  self.unacknowledged = {} -- an edit that knows all of ours says that all of ours arrived
  self.check = nil
  if not ok then
    return nil, tostring(problem)
  end
  self:set_places(places)
  if self.server_revision == 1 and self.crlf == nil then
    self:set_fileformat()
  end
  if clean then
    self.user_dirty = false
  end
  self.folder:changed_by_others(self, clean)
  return true
end

return M
