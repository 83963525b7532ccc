import assert from "node:assert/strict";
import test from "node:test";

import { colorOf, People, shownName } from "../src/people";

const RANGE = { start: { line: 1, character: 2 }, end: { line: 1, character: 2 } };

test("names are made fit to show", () => {
  assert.equal(shownName("bob\u001b[31m\n\u202e"), "bob [31m");
  assert.equal(shownName("😀".repeat(50)), "😀".repeat(40));
  assert.equal(shownName(5), "someone");
  assert.equal(shownName("  "), "someone");
});

test("colors are colors", () => {
  assert.equal(colorOf("#12ab9F", "u"), "#12ab9F");
  assert.match(colorOf("red; } body {", "u"), /^#[0-9a-f]{6}$/);
  assert.equal(colorOf(null, "u"), colorOf(undefined, "u"));
});

test("cursors come, move and go", () => {
  const people = new People();
  assert.equal(people.hear({ userid: "1", name: "bob", uri: "a", ranges: [RANGE, 5] }), "a");
  assert.equal(people.hear({ userid: "2", name: "ada", uri: "b", ranges: [RANGE] }), "b");
  assert.deepEqual(people.all().map(({ name }) => name), ["ada", "bob"]);
  assert.equal(people.in("a")[0].ranges.length, 1);
  assert.equal(people.hear({ userid: "1", name: "bob", uri: "a", ranges: [] }), "a");
  assert.deepEqual(people.in("a"), []);
});

test("nonsense is ignored, and there is an end", () => {
  const people = new People();
  assert.equal(people.hear({ userid: 5, uri: "a", ranges: [RANGE] }), null);
  assert.equal(people.hear({ userid: "1", uri: "a", ranges: "x" }), null);
  assert.equal(people.hear({ userid: "1", uri: "a", ranges: [null] }), null);
  for (let i = 0; i < 600; i++) {
    people.hear({ userid: `${i}`, uri: "a", ranges: [RANGE] });
  }
  assert.equal(people.all().length, 500);
});
