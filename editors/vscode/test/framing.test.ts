import assert from "node:assert/strict";
import test from "node:test";

import { Decoder, encode } from "../src/framing";

const MESSAGES = [{ method: "a", params: { text: "é😀\r\n\r\n" } }, { id: 1, result: "success" }, { id: 2 }];

for (const size of [1, 2, 7, 1000]) {
  test(`messages come out whole, in pieces of ${size} bytes`, () => {
    const bytes = Buffer.concat(MESSAGES.map((message) => encode(message)));
    const decoder = new Decoder();
    const heard: object[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      heard.push(...decoder.feed(bytes.subarray(at, at + size)));
    }
    assert.deepEqual(heard, MESSAGES.map((message) => ({ jsonrpc: "2.0", ...message })));
  });
}

test("other headers are passed over", () => {
  const bytes = Buffer.from('Content-Type: x\r\ncontent-length:  10\r\nA: b\r\n\r\n{"id":100}');
  assert.deepEqual(new Decoder().feed(bytes), [{ id: 100 }]);
});

for (const bad of [
  "Content-Length: x\r\n\r\n",
  "A: b\r\n\r\n",
  "Content-Length: 999999999\r\n\r\n",
  "Content-Length: 1\r\n\r\n5",
  "Content-Length: 2\r\n\r\n[]",
  "Content-Length: 1\r\n\r\n{",
  "x".repeat(5000),
]) {
  test(`refused: ${JSON.stringify(bad.slice(0, 40))}`, () => {
    assert.throws(() => new Decoder().feed(Buffer.from(bad)));
  });
}
