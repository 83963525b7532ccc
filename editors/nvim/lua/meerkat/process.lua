--- One running `meerkat editor`: requests to it, what it says, its end. Everything is heard on the main loop, in
--- the order in which it came. Does not decide when to start it again.

local frames = require("meerkat.frames")
local uv = vim.uv or vim.loop

local M = {}

local KEPT_STDERR = 2000 -- bytes of its last words, for the message when it ends

local Process = {}
Process.__index = Process

--- Start `command` in `folder`. `hear(method, params)` gets notifications; `ended(sentence)` is called once.
function M.start(command, folder, hear, ended)
  local self = setmetatable({ asked = {}, next_id = 1, hear = hear, alive = true, said = "" }, Process)
  local stdin, stdout, stderr = uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
  self.stdin = stdin
  local decode = frames.decoder()
  local finish = vim.schedule_wrap(function(sentence)
    if self.alive then
      self.alive = false
      ended(sentence)
    end
  end)
  local handle, problem
  handle, problem = uv.spawn(command[1], {
    args = vim.list_slice(command, 2, #command),
    cwd = folder,
    stdio = { stdin, stdout, stderr },
    hide = true,
  }, function(code)
    for _, pipe in ipairs({ stdin, stderr }) do
      if not pipe:is_closing() then
        pipe:close()
      end
    end
    if handle and not handle:is_closing() then
      handle:close()
    end
    self.code = code
    -- What it wrote before its end may still be in the pipe: `stdout` tells the end.
    if stdout:is_closing() then
      finish(self:last_words())
    end
  end)
  if not handle then
    for _, pipe in ipairs({ stdin, stdout, stderr }) do
      pipe:close()
    end
    finish(("%s does not start: %s"):format(command[1], problem or "?"))
    return self
  end
  self.handle = handle
  -- A message may make Neovim wait and so come back here: one queue, so that the order stays.
  local incoming, head, tail = {}, 1, 0
  local drain = vim.schedule_wrap(function()
    while head <= tail do
      local message = incoming[head]
      incoming[head] = nil
      head = head + 1
      local ok, problem = xpcall(self.take, debug.traceback, self, message)
      if not ok then
        vim.notify("meerkat: " .. problem, vim.log.levels.ERROR)
      end
    end
  end)
  stdout:read_start(function(err, data)
    if err or not data then
      stdout:close()
      if self.code then
        finish(self:last_words())
      else -- it closed its mouth and lives: that is an end, too
        vim.defer_fn(function()
          finish(self:last_words())
        end, 200)
      end
      return
    end
    local messages, wrong = decode(data)
    if not messages then
      stdout:close()
      finish(("%s said something else than the protocol: %s"):format(command[1], wrong))
      self:stop()
      return
    end
    for _, message in ipairs(messages) do
      tail = tail + 1
      incoming[tail] = message
    end
    drain()
  end)
  stderr:read_start(function(_, data)
    if data then
      self.said = (self.said .. data):sub(-KEPT_STDERR)
    end
  end)
  return self
end

function Process:last_words()
  local line = vim.trim(self.said):match("[^\r\n]*$") or ""
  if line ~= "" then
    return line
  end
  return ("the program ended (code %s)"):format(self.code or "?")
end

function Process:take(message)
  if message.method then
    if not message.id then
      self.hear(message.method, type(message.params) == "table" and message.params or {})
    end
    return
  end
  local answer = message.id and self.asked[message.id]
  if answer then
    self.asked[message.id] = nil
    answer(message.error, message.result)
  end
end

--- Ask; `answer(error, result)` is called with one of them, or never if the process ends first.
function Process:request(method, params, answer)
  if not self.alive then
    return
  end
  local id = self.next_id
  self.next_id = id + 1
  self.asked[id] = answer
  self:write({ id = id, method = method, params = params })
end

function Process:write(message)
  if self.alive and self.stdin and not self.stdin:is_closing() then
    self.stdin:write(frames.encode(message))
  end
end

--- Close its input, which it takes as a goodbye; kill it if it does not go.
function Process:stop()
  self.alive = false
  if self.stdin and not self.stdin:is_closing() then
    self.stdin:close()
  end
  local handle = self.handle
  if handle and not handle:is_closing() then
    vim.defer_fn(function()
      if not handle:is_closing() then
        handle:kill("sigterm")
      end
    end, 1000)
  end
end

return M
