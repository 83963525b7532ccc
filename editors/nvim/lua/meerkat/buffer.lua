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

--- The line ends that the first correction told us: meerkat shares a file of CRLFs as LFs, a mixed one as it is.
function M:set_fileformat()
  local options = vim.bo[self.buf]
  local returns = 0
  for _, row in ipairs(self.rows) do
    if row:sub(-1) == "\r" then
      returns = returns + 1
    end
  end
  if options.fileformat == "dos" and returns > 0 then
    options.fileformat = "unix"
  elseif options.fileformat == "unix" and self.carried_returns and returns == 0 then
    options.fileformat = "dos"
  end
end

--- The file's name, for people.
function M:name()
  return vim.fn.fnamemodify(api.nvim_buf_get_name(self.buf), ":~:.")
end

return M
