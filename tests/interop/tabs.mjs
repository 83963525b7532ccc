// Browser tabs without a browser: the unmodified npm packages yjs and y-websocket, told by JSON lines
// on stdin what their user does. One answer line for each, in order; see tabs.py.
import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const tabs = new Map()
const PIECES = ['a', 'word ', '\n', '\r\n', 'é', 'e\u0301', '😀', '👩‍👩‍👧', '𝒳y', '\t', '\u0001', '漢字']

function random(seed) {
  // mulberry32: the same scribbles for the same seed
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const within = (string, index) => {
  // never between the halves of a character
  const unit = string.charCodeAt(index)
  return unit >= 0xdc00 && unit <= 0xdfff ? index - 1 : index
}

const actions = {
  open({ tab, server, room, token }) {
    const doc = new Y.Doc()
    const provider = new WebsocketProvider(server, room, doc, {
      WebSocketPolyfill: WebSocket,
      params: { token },
      disableBc: true // tabs of one process would find each other without the server
    })
    const one = { doc, provider, text: doc.getText('text'), closed: [] }
    provider.on('connection-close', event => event && one.closed.push([event.code, String(event.reason)]))
    tabs.set(tab, one)
    return {}
  },
  async synced({ tab }) {
    const { provider } = tabs.get(tab)
    await until(provider, 'sync', () => provider.synced)
    return {}
  },
  insert({ tab, index, text }) {
    tabs.get(tab).text.insert(index, text)
    return {}
  },
  remove({ tab, index, length }) {
    tabs.get(tab).text.delete(index, length)
    return {}
  },
  async scribble({ tab, seed, count }) {
    const { text } = tabs.get(tab)
    const chance = random(seed)
    for (let i = 0; i < count; i++) {
      const content = text.toString()
      const start = within(content, Math.floor(chance() * (content.length + 1)))
      if (chance() < 0.3 && content.length > 20) {
        const end = within(content, Math.min(content.length, start + Math.floor(chance() * 6)))
        if (end > start) text.delete(start, end - start)
      } else {
        text.insert(start, PIECES[Math.floor(chance() * PIECES.length)])
      }
      if (i % 5 === 4) await new Promise(setImmediate) // what others typed comes in between
    }
    return { text: text.toString() }
  },
  text({ tab }) {
    return { text: tabs.get(tab).text.toString() }
  },
  async shows({ tab, text }) {
    const one = tabs.get(tab)
    await until(one.doc, 'update', () => one.text.toString() === text)
    return {}
  },
  async contains({ tab, text }) {
    const one = tabs.get(tab)
    await until(one.doc, 'update', () => one.text.toString().includes(text))
    return { text: one.text.toString() }
  },
  async alike({ some }) {
    const all = some.map(tab => tabs.get(tab))
    const same = () => new Set(all.map(one => one.text.toString())).size === 1
    await Promise.race(all.map(one => until(one.doc, 'update', same)))
    return { text: all[0].text.toString() }
  },
  cursor({ tab, name, color, anchor, head }) {
    const { provider, text } = tabs.get(tab)
    const place = index => Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, index))
    provider.awareness.setLocalStateField('user', { name, color })
    provider.awareness.setLocalStateField('cursor', { anchor: place(anchor), head: place(head) })
    return {}
  },
  async others({ tab, count }) {
    // who else is in this text, once there are so many with a cursor
    const { doc, provider } = tabs.get(tab)
    const there = () =>
      [...provider.awareness.getStates()]
        .filter(([id, state]) => id !== doc.clientID && state.cursor)
        .map(([, state]) => state)
    await until(provider.awareness, 'change', () => there().length === count)
    const index = place =>
      Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(place), doc).index
    return {
      others: there().map(state => ({
        name: state.user.name,
        anchor: index(state.cursor.anchor),
        head: index(state.cursor.head)
      }))
    }
  },
  disconnect({ tab }) {
    tabs.get(tab).provider.disconnect()
    return {}
  },
  connect({ tab }) {
    tabs.get(tab).provider.connect()
    return {}
  },
  async refused({ tab }) {
    const one = tabs.get(tab)
    await until(one.provider, 'connection-close', () => one.closed.length > 0)
    one.provider.disconnect()
    return { code: one.closed[0][0], reason: one.closed[0][1] }
  },
  leave({ tab }) {
    const { doc, provider } = tabs.get(tab)
    provider.destroy()
    doc.destroy()
    tabs.delete(tab)
    return {}
  }
}

function until(source, event, condition) {
  if (condition()) return Promise.resolve()
  return new Promise(resolve => {
    const look = () => {
      if (!condition()) return
      source.off(event, look)
      resolve()
    }
    source.on(event, look)
  })
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  try {
    console.log(JSON.stringify(await actions[request.do](request)))
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.stack) }))
  }
}
process.exit(0)
