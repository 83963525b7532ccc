--- One shared folder: its process, the sessions of its buffers, and starting it again when it ended.

local config = require("meerkat.config")
local people = require("meerkat.people")
local process = require("meerkat.process")
local saving = require("meerkat.saving")
local session = require("meerkat.session")
local undo = require("meerkat.undo")
local api = vim.api

local M = {}

local PROTOCOL = "0.7" -- the editor protocol's version that we were written against
local FIRST_RETRY, LAST_RETRY = 500, 30000 -- ms; doubled each time (guess)
local SETTLED = 10000 -- ms after which a process counts as running well
local ROOM_FOR_RULER = 20 -- columns that 'ruler' and 'showcmd' may need
local OPEN_RETRIES = { 300, 1000, 3000 } -- ms: a file just made is not yet a shared text (guess)

M.folders = {} -- root -> Folder

local Folder = {}
Folder.__index = Folder

function M.of(root)
  local folder = M.folders[root]
  if not folder then
    folder = setmetatable({ root = root, sessions = {}, earlier = {}, retry = FIRST_RETRY, problem = nil }, Folder)
    M.folders[root] = folder
  end
  return folder
end

--- The session of a buffer, or nil.
function M.session(buf)
  for _, folder in pairs(M.folders) do
    for _, found in pairs(folder.sessions) do
      if found.buf == buf then
        return found
      end
    end
  end
end

--- Attach a buffer: open its text.
function Folder:attach(buf)
  local uri = vim.uri_from_fname(api.nvim_buf_get_name(buf))
  self.earlier[uri] = nil
  local old = self.sessions[uri]
  if old and old.buf ~= buf then
    return
  end
  local found = old or session.new(self, buf, uri)
  self.sessions[uri] = found
  if found.state == "refused" then
    found.state = "new"
  end
  if self:ensure() then
    found:reconnect()
  end
end

--- Is the process there? Starts it unless it just failed.
function Folder:ensure()
  if self.process and self.process.alive then
    return true
  elseif self.waiting then
    return false
  end
  local started = vim.loop.now()
  local this
  this = process.start(config.options.command, self.root, function(method, params)
    if self.process == this then
      self:hear(method, params)
    end
  end, function(sentence)
    if self.process == this then
      self:lost(sentence, vim.loop.now() - started > SETTLED)
    end
  end)
  self.process = this
  this:request("initialize", { version = PROTOCOL, extensions = { "moved", "closed", "people", "live", "line_ends" } }, function(problem)
    if problem then
      self.problem = problem.message -- an older server: it works without what the extensions add
    end
  end)
  return true
end

--- The process ended.
function Folder:lost(sentence, had_settled)
  self.process = nil
  self.problem = sentence
  people.clear_folder(self)
  for _, found in pairs(self.sessions) do
    found:disconnect()
  end
  if had_settled then
    self.retry = FIRST_RETRY
  end
  if not self.told then
    self.told = true
    self:tell(("offline: " .. sentence))
  end
  if next(self.sessions) and not self.stopped then
    self.waiting = true
    vim.defer_fn(function()
      self.waiting = false
      if not self.stopped and next(self.sessions) and self:ensure() then
        for _, found in pairs(self.sessions) do
          found:reconnect()
        end
      end
    end, self.retry)
    self.retry = math.min(self.retry * 2, LAST_RETRY)
  end
end

function Folder:request(method, params, answer)
  if self.process then
    self.process:request(method, params, answer)
  end
end

--- A message for the user: on one line, so that Neovim does not wait for ENTER.
function Folder:tell(sentence, level)
  local message = ("meerkat: " .. sentence):gsub("%c", " ")
  local room = math.max(20, vim.o.columns - ROOM_FOR_RULER)
  if vim.fn.strdisplaywidth(message) > room then
    message = vim.fn.strcharpart(message, 0, room - 1) .. "…"
  end
  vim.notify(message, level or vim.log.levels.INFO)
end

-- What a session tells its folder

function Folder:opened(found)
  if self.told then
    self.told = nil
    self:tell("live again")
  end
  self.problem = nil
  found.tries = 0
  if not found.undo and config.options.undo == "own" then
    found.undo = undo.new(found)
  end
  saving.attach(found)
  people.draw_all(self, found)
  api.nvim_exec_autocmds("User", { pattern = "MeerkatAttached", data = { buf = found.buf }, modeline = false })
end

function Folder:refused(found, loud)
  found.tries = (found.tries or 0) + 1
  saving.detach(found)
  local delay = not loud and found.fresh and OPEN_RETRIES[found.tries]
  if delay then
    vim.defer_fn(function()
      if found.state == "refused" and api.nvim_buf_is_loaded(found.buf) and self.process then
        found.state = "new"
        found:reconnect()
      end
    end, delay)
  elseif loud then
    self:tell(("%s is not live: %s"):format(found:name(), found.reason), vim.log.levels.WARN)
  end
end

function Folder:forgot(found)
  if found.undo then
    found.undo:unmap()
  end
  saving.detach(found)
  people.clear_buffer(found.buf)
  if self.sessions[found.uri] == found then
    self.sessions[found.uri] = nil
  end
  for uri, one in pairs(self.earlier) do
    if one == found then
      self.earlier[uri] = nil
    end
  end
end

function Folder:changed_by_others(found, clean)
  saving.changed(found, clean)
  api.nvim_exec_autocmds("User", { pattern = "MeerkatEdit", data = { buf = found.buf }, modeline = false })
end

-- What the process says

local function is_name(value)
  return type(value) == "string" and #value < 8192
end

function Folder:hear(method, params)
  local found = is_name(params.uri) and (self.sessions[params.uri] or self.earlier[params.uri])
  if method == "cursor" then
    people.show(self, params, found and found.uri or params.uri)
    return
  end
  if not found then
    return
  elseif method == "edit" then
    found:receive(params.revision, params.delta)
  elseif method == "live" then
    self:live(found, params.live == true)
  elseif method == "line_ends" then
    found:set_line_ends(params.crlf == true)
  elseif method == "moved" and is_name(params.to) then
    self:moved(found, params.to)
  elseif method == "closed" then
    self:closed(found, tostring(params.reason or ""), tostring(params.text or ""))
  end
end

--- The folder's own process came or went; the one we talk to keeps our edits meanwhile.
function Folder:live(found, live)
  found.offline = not live
  if not live and not self.told then
    self.told = true
    self:tell("offline. Your edits are kept and sent later.")
  elseif live and self.told then
    self.told = nil
    self:tell("live again")
  end
end

--- The file has another name now.
function Folder:moved(found, to)
  found:flush()
  local name = vim.uri_to_fname(to)
  local buf = found.buf
  if vim.startswith(to, "file:") and vim.startswith(name, self.root) and vim.fn.bufnr("^" .. vim.fn.escape(name, "[]*?{}\\,") .. "$") == -1 then
    local was = api.nvim_buf_get_name(buf)
    found.moving = true
    api.nvim_buf_set_name(buf, name)
    found.moving = false
    -- Neovim leaves an unlisted buffer of the old name behind, and would refuse to write over the new file.
    local ghost = vim.fn.bufnr("^" .. vim.fn.escape(was, "[]*?{}\\,") .. "$")
    if ghost ~= -1 and ghost ~= buf then
      pcall(api.nvim_buf_delete, ghost, { force = true })
    end
    self.sessions[found.uri] = nil
    self.earlier[found.uri] = found -- the process goes on to call it so
    found.uri = to
    self.sessions[to] = found
    saving.moved(found, was)
    self:tell(("%s is %s now"):format(vim.fn.fnamemodify(was, ":~:."), found:name()))
  else -- another buffer has that file already, or it is out of our folder
    self:tell(("%s was moved to %s"):format(found:name(), to), vim.log.levels.WARN)
    found:forget()
  end
end

--- The session is over on the other side.
function Folder:closed(found, reason, sentence)
  if found.state ~= "open" and found.state ~= "opening" then
    return
  elseif reason == "replaced" or reason == "protocol" or reason == "stale" then
    return found:reopen(sentence ~= "" and sentence or reason, reason == "replaced")
  elseif reason == "stopping" then
    if self.process then
      self.process:stop()
      self:lost("the folder's process stopped", true)
    end
    return
  end
  found.state = "refused"
  found.reason = sentence ~= "" and sentence or reason
  found:give_back()
  saving.detach(found)
  people.clear_buffer(found.buf)
  if reason == "deleted" and api.nvim_buf_is_valid(found.buf) then
    vim.bo[found.buf].modified = true -- the buffer is the only place that has it
  end
  self:tell(("%s is not live any more: %s"):format(found:name(), found.reason), vim.log.levels.WARN)
end

--- Everything ends: Neovim exits, or the user wants no more of it.
function Folder:stop()
  self.stopped = true
  for _, found in ipairs(vim.tbl_values(self.sessions)) do
    found:close()
  end
  if self.process then
    self.process:stop()
    self.process = nil
  end
  M.folders[self.root] = nil
end

return M
