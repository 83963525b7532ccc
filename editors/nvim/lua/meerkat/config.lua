--- What can be set, with `require("meerkat").setup({...})`, and what holds without it.

local M = {}

M.defaults = {
  --- The program that speaks for the folder, and its arguments. It is started in the folder.
  command = { "meerkat", "editor" },
  --- Attach to files of shared folders by itself. Else `:MeerkatAttach` does.
  auto_attach = true,
  --- Write a buffer without unsaved changes of yours after others' edits, so that the file on disk follows.
  write = true,
  --- Milliseconds without further edits of others before that (a guess: a pause between two words).
  write_delay = 200,
  --- "own": `u` and CTRL-R undo and redo your own edits only. "native": Neovim's undo, others' edits included.
  undo = "own",
  --- Show others' cursors and selections, and their names beside them.
  cursors = true,
  names = true,
}

M.options = vim.deepcopy(M.defaults)

function M.set(options)
  options = options or {}
  for name in pairs(options) do
    if M.defaults[name] == nil then
      vim.notify(("meerkat: there is no option %q"):format(name), vim.log.levels.WARN)
    end
  end
  M.options = vim.tbl_deep_extend("force", vim.deepcopy(M.defaults), options)
  if options.command then
    M.options.command = vim.deepcopy(options.command) -- lists are not merged item by item
  end
end

return M
