-- Starts the plugin with its defaults once Neovim has read the user's configuration, unless that did already.
if vim.g.loaded_meerkat then
  return
end
vim.g.loaded_meerkat = 1

local function start()
  local meerkat = require("meerkat")
  if not meerkat.started then
    meerkat.setup(vim.g.meerkat)
  end
end

if vim.v.vim_did_enter == 1 then
  start()
else
  -- Before the first file is read, so that it is attached, too.
  vim.api.nvim_create_autocmd({ "BufReadPre", "BufNewFile", "VimEnter" }, { once = true, callback = start })
end
