--- Meerkat in Neovim: which buffers are attached, the commands, the autocommands. See doc/meerkat.txt.

local config = require("meerkat.config")
local cursor = require("meerkat.cursor")
local folders = require("meerkat.folder")
local people = require("meerkat.people")
local saving = require("meerkat.saving")
local api = vim.api

local M = {}

--- The shared folder that holds `path`, or nil.
function M.root_of(path)
  local found = vim.fs.find(".meerkat", { upward = true, type = "directory", path = vim.fs.dirname(path), limit = 1 })
  return found[1] and vim.fs.dirname(found[1])
end

--- Attach `buf` if it shows a file of a shared folder. Returns whether it does, and why not.
function M.attach(buf)
  buf = (buf == nil or buf == 0) and api.nvim_get_current_buf() or buf
  local name = api.nvim_buf_get_name(buf)
  if not api.nvim_buf_is_loaded(buf) or vim.bo[buf].buftype ~= "" or name == "" or name:match("^%a[%w+.-]+://") then
    return false, "no file"
  end
  local root = M.root_of(name)
  if not root or vim.startswith(name, root .. "/.meerkat/") then
    return false, "not in a shared folder"
  elseif vim.fn.filereadable(name) == 0 then
    return false, "not on disk yet: it becomes live when it is written"
  elseif vim.bo[buf].fileformat == "mac" then
    return false, "its lines end in CR alone ('fileformat' is mac); `:edit ++ff=unix` makes it live"
  end
  folders.of(root):attach(buf)
  return true
end

--- Let `buf` go; meerkat's process writes the file again.
function M.detach(buf)
  local session = folders.session((buf == nil or buf == 0) and api.nvim_get_current_buf() or buf)
  if session then
    session:close()
  end
end

--- For a status line: "", "meerkat", "meerkat: ada, bob" or "meerkat: offline".
function M.status()
  local session = folders.session(api.nvim_get_current_buf())
  if not session or session.state == "refused" then
    return ""
  elseif session.state ~= "open" or session.offline then
    return "meerkat: offline"
  end
  local names, seen = {}, {}
  for _, place in ipairs(people.list(session.folder)) do
    if place.uri == session.uri and not seen[place.name] then
      seen[place.name] = true
      names[#names + 1] = place.name
    end
  end
  return #names > 0 and "meerkat: " .. table.concat(names, ", ") or "meerkat"
end

local STATES = {
  new = "waiting for meerkat",
  opening = "opening",
  open = "live",
  waiting = "offline: your edits are kept and sent later",
  refused = "not live",
  closed = "closed",
}

--- What there is to say about the current buffer, line by line.
function M.info()
  local buf = api.nvim_get_current_buf()
  local session = folders.session(buf)
  local lines = {}
  if session then
    lines[#lines + 1] = ("%s: %s%s"):format(
      session:name(),
      STATES[session.offline and session.state == "open" and "waiting" or session.state],
      session.reason and " (" .. session.reason .. ")" or ""
    )
    lines[#lines + 1] = ("edits sent %d, received %d, unanswered %d"):format(
      session.editor_revision,
      session.server_revision,
      #session.unacknowledged
    )
    if session.write_problem then
      lines[#lines + 1] = "could not be written: " .. session.write_problem
    end
  else
    local _, why = M.attach(buf)
    lines[#lines + 1] = "this buffer is not attached: " .. (why or "opening it now")
  end
  for root, folder in pairs(folders.folders) do
    local alive = folder.process and folder.process.alive
    local count = vim.tbl_count(folder.sessions)
    lines[#lines + 1] = ("folder %s: %s, %d file%s open%s"):format(
      vim.fn.fnamemodify(root, ":~"),
      alive and "connected" or "no process",
      count,
      count == 1 and "" or "s",
      folder.problem and " (" .. folder.problem .. ")" or ""
    )
  end
  return lines
end

--- Who is where, line by line.
function M.people()
  local lines = {}
  for _, folder in pairs(folders.folders) do
    for _, place in ipairs(people.list(folder)) do
      lines[#lines + 1] = ("%s  %s"):format(place.name, people.where(folder, place))
    end
  end
  return lines
end

local function names()
  local result, seen = {}, {}
  for _, folder in pairs(folders.folders) do
    for _, place in ipairs(people.list(folder)) do
      if not seen[place.name] then
        seen[place.name] = true
        result[#result + 1] = place.name
      end
    end
  end
  return result
end

local function complete_name(lead)
  return vim.tbl_filter(function(name)
    return vim.startswith(name:lower(), lead:lower())
  end, names())
end

--- Call `chosen(folder, place)` with the place of `name`, or of whom the user picks.
local function pick(name, chosen)
  local places = {}
  for _, folder in pairs(folders.folders) do
    for _, place in ipairs(people.list(folder)) do
      if name == "" or place.name == name then
        places[#places + 1] = { folder = folder, place = place }
      end
    end
  end
  if #places == 0 then
    vim.notify(name == "" and "meerkat: nobody else is here" or ("meerkat: %s is not here"):format(name))
  elseif #places == 1 or name ~= "" then
    chosen(places[1].folder, places[1].place)
  else
    vim.ui.select(places, {
      prompt = "Whose cursor?",
      format_item = function(item)
        return ("%s  %s"):format(item.place.name, people.where(item.folder, item.place))
      end,
    }, function(item)
      if item then
        chosen(item.folder, item.place)
      end
    end)
  end
end

local function say(lines, nothing)
  api.nvim_echo({ { #lines > 0 and table.concat(lines, "\n") or nothing } }, false, {})
end

local function commands()
  local command = api.nvim_create_user_command
  command("MeerkatPeople", function()
    say(M.people(), "nobody else is here")
  end, { desc = "Who is here, and where" })
  command("MeerkatInfo", function()
    say(M.info(), "")
  end, { desc = "Is this buffer live, and if not, why" })
  command("MeerkatFollow", function(arguments)
    if arguments.args == "" and people.following then
      return people.unfollow()
    end
    pick(arguments.args, function(folder, place)
      people.follow(folder, place.name)
    end)
  end, { nargs = "?", complete = complete_name, desc = "Follow someone's cursor until a key is pressed" })
  command("MeerkatJumpToCursor", function(arguments)
    pick(arguments.args, people.go)
  end, { nargs = "?", complete = complete_name, desc = "Go to someone's cursor" })
  command("MeerkatAttach", function()
    local done, why = M.attach(0)
    if not done then
      vim.notify("meerkat: " .. why, vim.log.levels.WARN)
    end
  end, { desc = "Make this buffer live" })
  command("MeerkatDetach", function()
    M.detach(0)
  end, { desc = "Let this buffer go" })
end

local function autocommands()
  local group = api.nvim_create_augroup("meerkat", { clear = true })
  local function on(events, callback, pattern)
    api.nvim_create_autocmd(events, { group = group, pattern = pattern, callback = callback })
  end
  on({ "BufReadPost", "BufWritePost" }, function(event)
    local session = folders.session(event.buf)
    if session and (session.state == "open" or session.state == "opening" or session.state == "waiting") then
      return -- `:edit` is the session's own business
    end
    if config.options.auto_attach or session then
      M.attach(event.buf)
      session = folders.session(event.buf)
      if session and event.event == "BufWritePost" then
        session.fresh = true -- perhaps made just now: meerkat may need a moment to see it
      end
    end
  end)
  on("BufFilePost", function(event)
    local session = folders.session(event.buf)
    if session and not session.moving then
      session:close()
      M.attach(event.buf)
    end
  end)
  on({ "BufUnload", "BufWipeout" }, function(event)
    local session = folders.session(event.buf)
    if session then
      session:leave()
    end
  end)
  on("OptionSet", function()
    local session = folders.session(api.nvim_get_current_buf())
    if session and session.rows and not session.applying then
      local shown = api.nvim_buf_line_count(session.buf)
      session:mark(shown, shown, shown)
    end
  end, "endofline")
  on({ "CursorMoved", "CursorMovedI", "ModeChanged", "BufEnter" }, function(event)
    local session = folders.session(api.nvim_get_current_buf())
    if not session then
      return
    end
    if event.event == "ModeChanged" and session.undo and event.match:match("^[iR].*:[^iR]") then
      session.undo:cut()
    end
    cursor.send(session)
  end)
  on("BufLeave", function(event)
    local session = folders.session(event.buf)
    if session then
      cursor.send(session, {})
    end
  end)
  on("QuitPre", function() -- others' edits alone are no reason to refuse `:quit`
    for _, folder in pairs(folders.folders) do
      for _, session in pairs(folder.sessions) do
        if session.due then
          saving.write(session)
        end
      end
    end
  end)
  on("ColorScheme", people.recolor)
  on("VimLeavePre", function()
    for _, folder in ipairs(vim.tbl_values(folders.folders)) do
      folder:stop()
    end
  end)
  if vim.fn.has("nvim-0.10") == 0 then
    -- Two editors on one file are what this is for. (Later versions of Neovim pass over a living one's swap file.)
    on("SwapExists", function()
      local info = vim.fn.swapinfo(vim.v.swapname)
      if info.pid and info.pid > 0 and info.pid ~= vim.fn.getpid() and M.root_of(vim.fn.expand("<afile>:p")) then
        vim.v.swapchoice = "e"
      end
    end)
  end
end

--- Start: set options (see config.lua), attach what is open already.
function M.setup(options)
  config.set(options)
  if not M.started then
    M.started = true
    commands()
    autocommands()
  end
  if config.options.auto_attach then
    for _, buf in ipairs(api.nvim_list_bufs()) do
      if api.nvim_buf_is_loaded(buf) and not folders.session(buf) then
        M.attach(buf)
      end
    end
  end
end

return M
