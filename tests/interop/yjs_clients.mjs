// Yjs clients without a network: the unmodified npm packages yjs and y-protocols, told by JSON lines
// on stdin what their user does and what came over the line. One answer line for each, in order, with
// the frames that the client then sends. Frames are handled as y-websocket's client handles them.
import { createInterface } from 'node:readline'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as awarenessProtocol from 'y-protocols/awareness'
import * as syncProtocol from 'y-protocols/sync'
import * as Y from 'yjs'

const [SYNC, AWARENESS] = [0, 1]
const PIECES = ['a', 'word ', '\n', '\r\n', '\r', 'é', 'e\u0301', '😀', '👩‍👩‍👧', '𝒳y', '\t', '\u0001', '漢字']
const clients = new Map()

function random(seed) {
  // mulberry32
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

function within(string, index) {
  // never between the halves of a character
  const unit = string.charCodeAt(index)
  return unit >= 0xdc00 && unit <= 0xdfff ? index - 1 : index
}

function frame(kind, write) {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, kind)
  write(encoder)
  return encoding.toUint8Array(encoder)
}

const sync = write => frame(SYNC, write)

function shown(client, ids) {
  const update = awarenessProtocol.encodeAwarenessUpdate(client.awareness, ids)
  return frame(AWARENESS, encoder => encoding.writeVarUint8Array(encoder, update))
}

function hear(client, data) {
  const decoder = decoding.createDecoder(data)
  const kind = decoding.readVarUint(decoder)
  if (kind === SYNC) {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, SYNC)
    syncProtocol.readSyncMessage(decoder, encoder, client.doc, 'line')
    if (encoding.length(encoder) > 1) client.out.push(encoding.toUint8Array(encoder))
  } else if (kind === AWARENESS) {
    awarenessProtocol.applyAwarenessUpdate(client.awareness, decoding.readVarUint8Array(decoder), 'line')
  } else {
    throw new Error(`a frame of kind ${kind}`)
  }
}

function scribble(client, next) {
  const { text, undo } = client
  const string = text.toString()
  const dice = next()
  if (dice < 0.08) undo.undo()
  else if (dice < 0.12) undo.redo()
  else {
    const start = within(string, Math.floor(next() * (string.length + 1)))
    const end = within(string, Math.min(string.length, start + Math.floor(next() * 6)))
    client.doc.transact(() => {
      if (dice > 0.6 && end > start) text.delete(start, end - start)
      if (dice < 0.9) text.insert(start, PIECES[Math.floor(next() * PIECES.length)].repeat(dice < 0.15 ? 9 : 1))
    })
  }
}

const actions = {
  make(_, { id, gc = true, clientID }) {
    const doc = new Y.Doc({ gc })
    if (clientID !== undefined) doc.clientID = clientID
    const text = doc.getText('text')
    const awareness = new awarenessProtocol.Awareness(doc)
    const client = { doc, text, awareness, out: [], online: false, undo: new Y.UndoManager(text, { captureTimeout: 0 }) }
    doc.on('update', (update, origin) => {
      if (client.online && origin !== 'line') client.out.push(sync(encoder => syncProtocol.writeUpdate(encoder, update)))
    })
    awareness.on('update', ({ added, updated, removed }) => {
      // as y-websocket's provider: also what it heard from others
      if (client.online) client.out.push(shown(client, added.concat(updated, removed)))
    })
    clients.set(id, client)
    return doc.clientID
  },
  connect(client) {
    client.online = true
    client.out.push(sync(encoder => syncProtocol.writeSyncStep1(encoder, client.doc)))
    client.out.push(shown(client, [client.doc.clientID]))
  },
  disconnect(client) {
    const others = [...client.awareness.getStates().keys()].filter(id => id !== client.doc.clientID)
    awarenessProtocol.removeAwarenessStates(client.awareness, others, 'line')
    client.online = false
    client.out = []
  },
  destroy(client, { id }) {
    client.awareness.destroy()
    client.doc.destroy()
    clients.delete(id)
  },
  hear: (client, { frames }) => frames.forEach(data => hear(client, Buffer.from(data, 'base64'))),
  scribble(client, { seed, count, transact }) {
    const next = random(seed)
    const all = () => {
      for (let i = 0; i < count; i++) scribble(client, next)
    }
    if (transact) client.doc.transact(all)
    else all()
  },
  insert: (client, { index, text }) => client.text.insert(index, text),
  remove: (client, { index, length }) => client.text.delete(index, length),
  format: (client, { index, length }) => client.text.format(index, length, { bold: true }),
  embed: client => client.text.insertEmbed(0, { image: 'x' }),
  other: client => client.doc.getMap('other').set('key', 'value'),
  undo: client => client.undo.undo(),
  redo: client => client.undo.redo(),
  whole: client => client.out.push(sync(e => syncProtocol.writeUpdate(e, Y.encodeStateAsUpdate(client.doc)))),
  select(client, { field = 'cursor', anchor, head, assoc = 0 }) {
    const place = index => Y.createRelativePositionFromTypeIndex(client.text, index, assoc)
    client.awareness.setLocalStateField(field, { anchor: place(anchor), head: place(head) })
  },
  place: (client, { indexes, assoc = 0 }) =>
    indexes.map(index => Y.createRelativePositionFromTypeIndex(client.text, index, assoc)),
  find: (client, { places }) =>
    places.map(place => {
      const found = Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(place), client.doc, false)
      return found && found.index
    }),
  states(client) {
    const states = {}
    for (const [id, state] of client.awareness.getStates()) {
      if (id === client.doc.clientID) continue
      states[id] = { ...state, found: {} }
      for (const field of ['cursor', 'selection']) {
        // `selection` is used as it came, as y-monaco does it
        const read = field === 'cursor' ? Y.createRelativePositionFromJSON : place => place
        const find = place => Y.createAbsolutePositionFromRelativePosition(read(place), client.doc)?.index
        if (state[field]) states[id].found[field] = [find(state[field].anchor), find(state[field].head)]
      }
    }
    return states
  },
  update: client => Buffer.from(Y.encodeStateAsUpdate(client.doc)).toString('base64'),
  text: client => client.text.toString()
}

for await (const line of createInterface({ input: process.stdin })) {
  const answers = []
  for (const { action, ...what } of JSON.parse(line)) {
    const value = actions[action](clients.get(what.id), what)
    const client = clients.get(what.id)
    const frames = client ? client.out.map(data => Buffer.from(data).toString('base64')) : []
    if (client) client.out = []
    answers.push({ value, frames })
  }
  process.stdout.write(JSON.stringify(answers) + '\n')
}
process.exit(0) // an Awareness has a timer
