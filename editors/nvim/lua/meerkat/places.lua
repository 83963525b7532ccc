--- Where the user is in the text, kept while others edit it: cursors, what the windows show, a selection's start.
--- Methods of the session (session.lua).

local text = require("meerkat.text")
local api = vim.api

local M = {}

--- Where every window's cursor and view have to be after the edits.
function M:places(edits)
  local places = {}
  local current = api.nvim_get_current_win()
  local inserting = api.nvim_get_mode().mode:match("^[iR]") ~= nil
  for _, window in ipairs(vim.fn.win_findbuf(self.buf)) do
    local cursor = api.nvim_win_get_cursor(window)
    local place = { window = window }
    -- What others insert where we type comes after our cursor, so that our word stays whole.
    place.row, place.byte = text.moved(cursor[1] - 1, cursor[2], edits, inserting and window == current)
    if window == current then
      if api.nvim_get_mode().mode:match("^[vV\22]") then
        local start = vim.fn.getpos("v") -- Neovim leaves it where it is
        local row, byte = start[2] - 1, start[3] - 1
        local new_row, new_byte = text.moved(row, byte, edits, false)
        if new_row ~= row or new_byte ~= byte then
          place.anchor = { new_row, new_byte }
        end
      end
      place.view = vim.fn.winsaveview()
      if edits[1] and edits[1][1] < place.view.topline then
        place.top = text.moved(place.view.topline - 1, 0, edits, false)
      end
    end
    places[#places + 1] = place
  end
  return places
end

function M:set_places(places)
  local count = api.nvim_buf_line_count(self.buf)
  for _, place in ipairs(places) do
    if place.anchor and place.window == api.nvim_get_current_win() then
      local row = math.min(place.anchor[1], count - 1)
      vim.cmd("noautocmd normal! o")
      pcall(api.nvim_win_set_cursor, place.window, { row + 1, place.anchor[2] })
      vim.cmd("noautocmd normal! o")
    end
  end
  for _, place in ipairs(places) do
    if api.nvim_win_is_valid(place.window) and api.nvim_win_get_buf(place.window) == self.buf then
      local row = math.min(place.row, count - 1)
      local line = api.nvim_buf_get_lines(self.buf, row, row + 1, true)[1]
      local byte = place.row > row and #line or math.min(place.byte, #line)
      local now = api.nvim_win_get_cursor(place.window)
      if now[1] ~= row + 1 or now[2] ~= byte then
        pcall(api.nvim_win_set_cursor, place.window, { row + 1, byte })
      end
      if place.view and place.window == api.nvim_get_current_win() then
        local view = vim.fn.winsaveview()
        local top = place.top and math.min(place.top + 1, count) or place.view.topline
        view.curswant = place.view.curswant
        view.topline = top
        view.leftcol = place.view.leftcol
        vim.fn.winrestview(view)
      end
    end
  end
end

return M
