--- Who writes the file, and when: while a buffer is attached, Neovim does, and meerkat's process does not.
---
--- A buffer without unsaved changes of the user's is written shortly after others' edits, without autocommands. What
--- another program saved meanwhile reaches the buffer through meerkat, so Neovim neither reloads nor asks; and before
--- we write over such a save, meerkat gets time to read it.

local config = require("meerkat.config")
local api = vim.api
local uv = vim.uv or vim.loop

local M = {}

local LONGEST_DELAY = 2000 -- ms: others who never pause don't keep the file from following (guess)
local GRACE = 1000 -- ms given to meerkat to read another program's save before we write over it (guess: it takes 60)
local MOVED_LOOK, MOVED_TRIES = 20, 150 -- ms between looks for a moved file, and how many (guess)
local GRACE_BY_HAND = 400 -- the same when the user waits for `:w` (guess)

--- What tells one state of a file from another, or nil if there is none.
local function state_of(buf)
  local stat = uv.fs_stat(api.nvim_buf_get_name(buf))
  return stat and ("%d.%d.%d.%d"):format(stat.mtime.sec, stat.mtime.nsec, stat.size, stat.ino)
end

function M.attach(session)
  local buf = session.buf
  session.disk = session.disk or state_of(buf)
  session.saving = api.nvim_create_augroup("meerkat_saving_" .. buf, { clear = true })
  local function on(event, callback)
    api.nvim_create_autocmd(event, { group = session.saving, buffer = buf, callback = callback })
  end
  on("FileChangedShell", function()
    vim.v.fcs_choice = ""
  end)
  on("BufWritePre", function(event)
    if session.state == "open" and vim.fn.fnamemodify(event.match, ":p") == api.nvim_buf_get_name(buf) then
      M.before_write(session)
      session:tell_line_ends()
    end
  end)
  on("BufWritePost", function()
    session.disk = state_of(buf)
    session.user_dirty = false
  end)
end

function M.detach(session)
  if session.saving then
    pcall(api.nvim_del_augroup_by_id, session.saving)
    session.saving = nil
  end
  session.due = nil
end

--- The user writes. If another program saved the file since we last knew it, wait for its change to arrive, and
--- write once ourselves, since Neovim would ask whether to write over it.
function M.before_write(session)
  local now = state_of(session.buf)
  if not now or not session.disk or now == session.disk then
    return
  end
  local before, crlf = session.server_revision, session.crlf
  vim.wait(GRACE_BY_HAND, function()
    return session.server_revision > before or session.crlf ~= crlf
  end, 10)
  if session.state == "open" then
    M.put(session)
  end
end

--- Others changed the buffer. `clean`: it had no unsaved changes of the user's before.
function M.changed(session, clean)
  if not config.options.write then
    return
  elseif not clean and not session.due then
    return -- the user has unsaved changes, and saves both together
  end
  local now = uv.now()
  session.due = session.due or now + LONGEST_DELAY
  session.write_turn = (session.write_turn or 0) + 1
  local turn = session.write_turn
  vim.defer_fn(function()
    if session.write_turn == turn and session.due then
      M.write(session)
    end
  end, math.max(0, math.min(config.options.write_delay, session.due - now)))
end

--- Write, unless the user has begun to type, or another program's save is not yet in the buffer.
function M.write(session)
  local buf = session.buf
  local function over()
    session.due, session.foreign = nil, nil
  end
  if session.state ~= "open" or not api.nvim_buf_is_loaded(buf) then
    return over()
  end
  session:flush()
  if session.user_dirty or not vim.bo[buf].modified then
    return over()
  end
  local now = state_of(buf)
  if now and session.disk and now ~= session.disk and session.foreign ~= now then
    session.foreign = now
    vim.defer_fn(function()
      M.write(session)
    end, GRACE)
    return
  end
  over()
  M.put(session)
end

--- The file has another name, here sooner than on the disk. Neovim would refuse to write over a file that the buffer
--- was not read from, so it is written once, as soon as it is there.
function M.moved(session, old_name, tries)
  tries = tries or 0
  local there = state_of(session.buf) and not uv.fs_stat(old_name)
  if session.state ~= "open" then
    return
  elseif there or tries >= MOVED_TRIES then
    session:flush()
    M.put(session)
  else
    vim.defer_fn(function()
      M.moved(session, old_name, tries + 1)
    end, MOVED_LOOK)
  end
end

--- Write the buffer as it is, silently.
function M.put(session)
  local buf = session.buf
  local readonly = vim.bo[buf].readonly -- `:write!` would forget it
  local ok, problem = pcall(api.nvim_buf_call, buf, function()
    session:tell_line_ends()
    vim.cmd("silent noautocmd lockmarks keepalt write!")
  end)
  if readonly then
    vim.bo[buf].readonly = true
  end
  if ok then
    session.disk = state_of(buf)
    session.user_dirty = false
    session.write_problem = nil
  elseif session.write_problem ~= problem then
    session.write_problem = problem
    session.folder:tell(("%s could not be written: %s"):format(session:name(), problem), vim.log.levels.WARN)
  end
end

return M
