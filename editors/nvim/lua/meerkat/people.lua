--- Other people's cursors: what is known of them, and how they are drawn. Also following one of them.

local config = require("meerkat.config")
local text = require("meerkat.text")
local api = vim.api

local M = {}

local NAMESPACE = api.nvim_create_namespace("meerkat_people")
local MAX_PLACES = 500 -- cursors we remember in one folder
local MAX_RANGES = 100 -- selections of one cursor that are drawn
local MAX_NAME = 40 -- characters of a name that are shown
-- For those who come without a color.
local COLORS = { "#e05561", "#42b3c2", "#d18f52", "#4aa5f0", "#8cc265", "#c162de", "#de73a8", "#b9a03d" }

M.following = nil -- {folder, name}

local function is_position(value)
  return type(value) == "table"
    and type(value.line) == "number"
    and type(value.character) == "number"
    and value.line >= 0
    and value.character >= 0
end

local function shown_name(name)
  if type(name) ~= "string" then
    return "someone"
  end
  name = vim.trim(text.clean(name):gsub("%c", " "))
  if name == "" then
    return "someone"
  end
  return name:sub(1, text.byte_at(name, MAX_NAME))
end

local function color_of(color, user)
  if type(color) == "string" and color:match("^#%x%x%x%x%x%x$") then
    return color:lower()
  end
  local sum = 0
  for i = 1, #user do
    sum = (sum * 31 + user:byte(i)) % 65536
  end
  return COLORS[sum % #COLORS + 1]
end

local highlights = {}

local function rgb(color)
  return tonumber(color:sub(2, 3), 16), tonumber(color:sub(4, 5), 16), tonumber(color:sub(6, 7), 16)
end

--- The highlight groups of a color: cursor (and name), selection.
local function groups(color)
  local key = color:sub(2)
  local cursor, selection = "MeerkatCursor" .. key, "MeerkatSelection" .. key
  if not highlights[key] then
    highlights[key] = true
    local r, g, b = rgb(color)
    local dark = 0.299 * r + 0.587 * g + 0.114 * b < 140
    api.nvim_set_hl(0, cursor, { bg = color, fg = dark and "#ffffff" or "#000000", default = true })
    local ground = vim.o.background == "light" and 255 or 20
    local function mixed(part)
      return math.floor(part * 0.3 + ground * 0.7)
    end
    local faint = ("#%02x%02x%02x"):format(mixed(r), mixed(g), mixed(b))
    api.nvim_set_hl(0, selection, { bg = faint, default = true })
  end
  return cursor, selection
end

--- A color scheme cleared our groups.
function M.recolor()
  highlights = {}
  for _, folder in pairs(require("meerkat.folder").folders) do
    for _, place in pairs(folder.places or {}) do
      groups(place.color)
    end
  end
end

local function erase(place)
  if place.buf and api.nvim_buf_is_valid(place.buf) then
    for _, mark in ipairs(place.marks) do
      api.nvim_buf_del_extmark(place.buf, NAMESPACE, mark)
    end
  end
  place.buf, place.marks = nil, {}
end

local function draw(place, buf)
  erase(place)
  if not config.options.cursors then
    return
  end
  place.buf = buf
  local count = api.nvim_buf_line_count(buf)
  local cursor_group, selection_group = groups(place.color)
  local function at(position)
    local row = math.min(position.line, count - 1)
    local line = api.nvim_buf_get_lines(buf, row, row + 1, true)[1]
    local byte = position.line > row and #line or text.byte_at(line, position.character)
    return row, byte, line
  end
  local function mark(row, byte, options)
    options.strict = false
    local ok, id = pcall(api.nvim_buf_set_extmark, buf, NAMESPACE, row, byte, options)
    if ok then
      place.marks[#place.marks + 1] = id
    end
  end
  for i, range in ipairs(place.ranges) do
    local row, byte = at(range.start)
    local end_row, end_byte, line = at(range["end"])
    local head_row, head_byte = end_row, end_byte
    if row > end_row or (row == end_row and byte > end_byte) then
      row, byte, end_row, end_byte = end_row, end_byte, row, byte
    end
    if row ~= end_row or byte ~= end_byte then
      mark(row, byte, {
        end_row = end_row,
        end_col = end_byte,
        hl_group = selection_group,
        hl_eol = true,
        priority = 150,
        end_right_gravity = false,
      })
    end
    local names = config.options.names and i == 1 and { { " " .. place.name .. " ", cursor_group } } or nil
    if head_byte < #line then
      local next_byte = head_byte + #(line:sub(head_byte + 1):match("^[^\128-\191][\128-\191]*") or " ")
      mark(head_row, head_byte, { end_col = next_byte, hl_group = cursor_group, priority = 160 })
    else
      mark(head_row, head_byte, { virt_text = { { " ", cursor_group } }, virt_text_pos = "overlay", priority = 160 })
    end
    if names then
      mark(head_row, head_byte, { virt_text = names, virt_text_pos = "eol", priority = 160 })
    end
  end
end

--- Someone's cursor, as the process told it. `uri`: what the file is called now.
function M.show(folder, params, uri)
  local user, ranges = params.userid, params.ranges
  if type(user) ~= "string" or type(uri) ~= "string" or type(ranges) ~= "table" then
    return
  end
  folder.places = folder.places or {}
  local key = user .. "\n" .. uri
  local place = folder.places[key]
  local good = {}
  for i = 1, math.min(#ranges, MAX_RANGES) do
    local range = ranges[i]
    if type(range) == "table" and is_position(range.start) and is_position(range["end"]) then
      good[#good + 1] = range
    end
  end
  if #good == 0 then
    if place then
      erase(place)
      folder.places[key] = nil
    end
    return
  end
  if not place then
    if vim.tbl_count(folder.places) >= MAX_PLACES then
      return
    end
    place = { marks = {} }
    folder.places[key] = place
  end
  place.user, place.uri, place.ranges = user, uri, good
  place.name = shown_name(params.name)
  place.color = color_of(params.color, user)
  place.seen = vim.loop.now()
  local session = folder.sessions[uri]
  if session and session.state == "open" and api.nvim_buf_is_loaded(session.buf) then
    draw(place, session.buf)
  end
  local following = M.following
  if following and following.folder == folder and following.name == place.name then
    M.go(folder, place)
  end
end

--- Draw what is known of a buffer that was just opened.
function M.draw_all(folder, session)
  for _, place in pairs(folder.places or {}) do
    if place.uri == session.uri then
      draw(place, session.buf)
    end
  end
end

function M.clear_folder(folder)
  for _, place in pairs(folder.places or {}) do
    erase(place)
  end
  folder.places = {}
end

function M.clear_buffer(buf)
  if api.nvim_buf_is_valid(buf) then
    api.nvim_buf_clear_namespace(buf, NAMESPACE, 0, -1)
  end
end

--- Everybody's places, by name.
function M.list(folder)
  local places = vim.tbl_values(folder.places or {})
  table.sort(places, function(a, b)
    if a.name ~= b.name then
      return a.name < b.name
    end
    return a.uri < b.uri
  end)
  return places
end

--- "notes/a.md:12" for people.
function M.where(folder, place)
  local path = place.uri
  if vim.startswith(path, "file:") then
    path = vim.uri_to_fname(path)
    if vim.startswith(path, folder.root .. "/") then
      path = path:sub(#folder.root + 2)
    end
  end
  return ("%s:%d"):format(path, place.ranges[1]["end"].line + 1)
end

--- Go where someone's cursor is.
function M.go(folder, place)
  local path = vim.startswith(place.uri, "file:") and vim.uri_to_fname(place.uri)
  if not path or not vim.startswith(path, folder.root .. "/") then
    return
  end
  local buf = vim.fn.bufadd(path)
  if api.nvim_get_current_buf() ~= buf then
    vim.cmd("normal! m'")
    local ok = pcall(vim.cmd, "keepalt edit " .. vim.fn.fnameescape(path))
    if not ok then
      return
    end
  end
  local position = place.ranges[1]["end"]
  local row = math.min(position.line, api.nvim_buf_line_count(0) - 1)
  local line = api.nvim_buf_get_lines(0, row, row + 1, true)[1]
  api.nvim_win_set_cursor(0, { row + 1, text.byte_at(line, position.character) })
  vim.cmd("normal! zv")
  local view = vim.fn.winsaveview()
  local height = api.nvim_win_get_height(0)
  if view.lnum < view.topline + 2 or view.lnum > view.topline + height - 3 then
    vim.cmd("normal! zz")
  end
end

--- Follow someone until a key is pressed.
function M.follow(folder, name)
  M.following = { folder = folder, name = name }
  vim.notify(("meerkat: following %s until you press a key"):format(name))
  for _, place in ipairs(M.list(folder)) do
    if place.name == name then
      M.go(folder, place)
      break
    end
  end
  vim.schedule(function() -- the keys of the command itself don't count
    vim.on_key(function(key, typed)
      if typed == "" or (typed == nil and key:sub(1, 2) == "\128\253") then
        return -- not from the keyboard
      end
      M.unfollow()
    end, NAMESPACE)
  end)
end

function M.unfollow()
  if M.following then
    M.following = nil
    vim.on_key(nil, NAMESPACE)
    vim.schedule(function()
      vim.notify("meerkat: not following any more")
    end)
  end
end

return M
