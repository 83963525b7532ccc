--- `:checkhealth meerkat`

local config = require("meerkat.config")
local folders = require("meerkat.folder")
local health = vim.health

local M = {}

local start = health.start or health.report_start
local good = health.ok or health.report_ok
local warn = health.warn or health.report_warn
local bad = health.error or health.report_error
local info = health.info or health.report_info

function M.check()
  start("meerkat")
  if vim.fn.has("nvim-0.9") == 1 then
    good("Neovim " .. tostring(vim.version()))
  else
    bad("Neovim 0.9 or later is needed")
  end
  local command = config.options.command
  if vim.fn.executable(command[1]) == 1 then
    local version = vim.fn.system({ command[1], "--version" })
    good(("`%s` is %s"):format(table.concat(command, " "), vim.trim(version)))
  else
    bad(("`%s` is not found"):format(command[1]), {
      "Install meerkat: `pip install meerkat`",
      'or say where it is: `require("meerkat").setup({ command = { "/path/to/meerkat", "editor" } })`',
    })
  end
  if not require("meerkat").started then
    warn("the plugin has not started: no file was read yet, or `setup` was not called")
  end
  if not next(folders.folders) then
    info("no file of a shared folder is open")
  end
  for root, folder in pairs(folders.folders) do
    local alive = folder.process and folder.process.alive
    local say = alive and good or warn
    say(("%s: %s%s"):format(root, alive and "connected" or "not connected", folder.problem and ", " .. folder.problem or ""))
    for _, session in pairs(folder.sessions) do
      local text = ("%s: %s%s"):format(session:name(), session.state, session.reason and ", " .. session.reason or "")
      if session.state == "open" then
        good(text)
      else
        warn(text)
      end
      if session.unreported then
        warn(("%s: %d changes were found late"):format(session:name(), session.unreported))
      end
    end
  end
end

return M
