--- What a session does with its buffer: reading it as a text, changing it, and the options that decide what is
--- written. Methods of the session (session.lua).

local text = require("meerkat.text")
local api = vim.api

local M = {}

local function buffer_is_empty(buf)
  -- Only this tells a file of 0 bytes from one empty line.
  return api.nvim_buf_call(buf, function()
    return vim.fn.wordcount().bytes == 0
  end)
end

--- The number of lines, whether the text ends in a newline, whether there is no text at all.
function M:shape()
  local count = api.nvim_buf_line_count(self.buf)
  local eol = vim.bo[self.buf].eol
  local empty = false
  if count == 1 and api.nvim_buf_get_lines(self.buf, 0, 1, true)[1] == "" then
    empty = not eol or buffer_is_empty(self.buf)
  end
  return count, eol, empty
end

local function has_returns(rows)
  for _, row in ipairs(rows) do
    if row:sub(-1) == "\r" then
      return true
    end
  end
  return false
end

--- The lines [first, last) of the buffer. What no text can hold (bytes that are no UTF-8, NUL) is replaced there.
function M:lines(first, last)
  local lines = api.nvim_buf_get_lines(self.buf, first, last, true)
  for i, line in ipairs(lines) do
    local clean = text.clean(line)
    if clean ~= line then
      lines[i] = clean
      self:change(function()
        api.nvim_buf_set_lines(self.buf, first + i - 1, first + i, true, { clean })
      end)
    end
  end
  return lines
end

--- Change the buffer ourselves: what happens in `body` is no edit of the user's.
function M:change(body)
  local options = vim.bo[self.buf]
  local modifiable, readonly = options.modifiable, options.readonly
  if not modifiable then
    options.modifiable = true
  end
  if readonly then
    options.readonly = false -- else Neovim warns, and waits a second
  end
  self.applying = true
  local ok, problem = pcall(body)
  self.applying = false
  if api.nvim_buf_is_valid(self.buf) then
    if not modifiable then
      options.modifiable = false
    end
    if readonly then
      options.readonly = true
    end
  end
  return ok, problem
end

--- Take over the options that decide what is written, so that the file is the text, byte for byte.
function M:prepare()
  local options = vim.bo[self.buf]
  if not self.options then
    self.options = { autoread = vim.go.autoread, fixeol = options.fixeol }
  end
  options.autoread = false -- what changes on disk comes through meerkat
  options.fixeol = false
  local modified = options.modified
  if options.bomb then
    options.bomb = false -- it is a character of the text
    options.modified = modified
  end
  if options.fileencoding ~= "utf-8" then
    options.fileencoding = "utf-8" -- a file that is not is no text, and refused
    options.modified = modified
  end
  local lines = api.nvim_buf_get_lines(self.buf, 0, -1, true)
  if options.fileformat == "dos" and not self.crlf and table.concat(lines):find("\r", 1, true) then
    -- The text of such a file has its CRLFs: else it could not tell which line has one more CR.
    self:change(function()
      for i = 1, #lines - (options.eol and 0 or 1) do
        lines[i] = lines[i] .. "\r"
      end
      api.nvim_buf_set_lines(self.buf, 0, -1, true, lines)
      options.fileformat = "unix"
    end)
    options.modified = modified -- the same bytes
  end
  self.carried_returns = options.fileformat == "unix" and #lines > 0 and lines[1]:sub(-1) == "\r"
end

--- Give back the options that were taken over.
function M:give_back()
  if self.options and api.nvim_buf_is_valid(self.buf) then
    vim.bo[self.buf].fixeol = self.options.fixeol
    vim.bo[self.buf].autoread = nil -- as it is everywhere
  end
  self.options = nil
end

--- Set 'fileformat', whether or not the buffer may be changed.
function M:write_as(form)
  if vim.bo[self.buf].fileformat ~= form then
    self:change(function()
      vim.bo[self.buf].fileformat = form
    end)
  end
end

--- How the lines of the file end: meerkat shares a file of CRLFs as LFs, and any other as it is. Whatever Neovim
--- took it for, and whatever it is from now on, the buffer is written so.
function M:set_line_ends(crlf)
  if self.state ~= "open" or not api.nvim_buf_is_loaded(self.buf) then
    return
  end
  self.crlf = crlf
  local form = crlf and "dos" or "unix"
  if vim.bo[self.buf].fileformat == form then
    return
  end
  local clean = not vim.bo[self.buf].modified
  self:write_as(form)
  if clean then
    self.user_dirty = false
  end
  self.folder:changed_by_others(self, clean)
end

--- Before the buffer is written: has the user set 'fileformat'? Then everyone's file gets these line ends.
function M:tell_line_ends()
  local options = vim.bo[self.buf]
  local form = options.fileformat
  if self.crlf == nil and form ~= "mac" then
    return
  end
  local was = self.crlf and "dos" or "unix"
  local why
  if form == was then
    return
  elseif form == "mac" then
    why = "a file with 'fileformat' mac is not live"
  elseif form == "dos" and has_returns(api.nvim_buf_get_lines(self.buf, 0, -1, true)) then
    why = "a line has a CR at its end; ':%s/\\r$//' takes them away"
  end
  if why then
    self:write_as(was)
    return self.folder:tell(("'fileformat' stays %s: %s"):format(was, why), vim.log.levels.WARN)
  end
  self.crlf = form == "dos"
  self.folder:request("line_ends", { uri = self.uri, crlf = self.crlf }, function() end)
end

--- The same from the first correction, while the server has not told us, or never does.
function M:set_fileformat()
  local options = vim.bo[self.buf]
  local returns = has_returns(self.rows)
  if options.fileformat == "dos" and returns then
    self:write_as("unix")
  elseif options.fileformat == "unix" and self.carried_returns and not returns then
    self:write_as("dos")
  end
end

--- The file's name, for people.
function M:name()
  return vim.fn.fnamemodify(api.nvim_buf_get_name(self.buf), ":~:.")
end

return M
