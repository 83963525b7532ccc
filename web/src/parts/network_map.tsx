// Who is linked to whom, moving: drawn by hand into an SVG, since it changes with every frame.

import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { inkOn } from "../model/color";
import { Forces } from "../model/forces";
import { colorFor, network, pulse } from "../model/pool";
import { calm } from "../model/settings";
import { count, initials, oneLine, span } from "../model/shown";
import type { NetworkFacts, NodeFacts } from "../model/types";

const SVG = "http://www.w3.org/2000/svg";
const MOST = 200; // peers drawn
const MOST_NAMED = 36; // with more, names are shown only on the large ones
const MARGIN = 34; // units around the picture
const LARGEST = 1.2; // px a unit at most: few peers stay small on a large picture
const EASE = 0.12; // of the way to the new frame of the picture, each step
const OWN = 13; // radius of our own node, in units

interface Line {
  a: string;
  b: string;
  sure: boolean; // both sides tell of it
  own: boolean;
}

/** Peers that are here, and the links among them. */
export function graphOf(facts: NetworkFacts): { nodes: NodeFacts[]; links: Line[] } {
  const nodes = facts.nodes
    .filter((node) => node.here || node.author === facts.author)
    .sort(
      (a, b) =>
        Number(b.author === facts.author) - Number(a.author === facts.author) ||
        (a.author < b.author ? -1 : 1),
    )
    .slice(0, MOST);
  const known = new Map(nodes.map((node) => [node.author, new Set(node.neighbors)]));
  for (const node of nodes) {
    if (node.linked) {
      known.get(facts.author)?.add(node.author);
      known.get(node.author)?.add(facts.author);
    }
  }
  const links: Line[] = [];
  for (const [a, neighbors] of known) {
    for (const b of neighbors) {
      const back = known.get(b)?.has(a);
      if (!known.has(b) || a === b || (back && a > b)) continue;
      links.push({ a, b, sure: back ?? false, own: a === facts.author || b === facts.author });
    }
  }
  links.sort((x, y) => (x.a + x.b < y.a + y.b ? -1 : 1));
  return { nodes, links };
}

class Drawing {
  private readonly forces = new Forces();
  private readonly lines = document.createElementNS(SVG, "g");
  private readonly dots = document.createElementNS(SVG, "g");
  private readonly nodes = new Map<string, SVGGElement>();
  private readonly edges = new Map<string, { line: Line; element: SVGLineElement }>();
  private byMember = new Map<string, string[]>();
  private frame = 0;
  private box = { x: -140, y: -100, w: 280, h: 200 };
  private first = true;

  constructor(private readonly svg: SVGSVGElement) {
    svg.append(this.lines, this.dots);
    svg.addEventListener("pointerdown", this.onDown);
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
  }

  show(facts: NetworkFacts): void {
    const { nodes, links } = graphOf(facts);
    const changed = this.forces.set(
      nodes.map((node) => node.author),
      links.map((line) => [line.a, line.b] as const),
    );
    this.byMember = new Map();
    const names = nodes.length <= MOST_NAMED;
    const left = new Set(this.nodes.keys());
    for (const node of nodes) {
      left.delete(node.author);
      this.byMember.set(node.member, [...(this.byMember.get(node.member) ?? []), node.author]);
      this.showNode(node, node.author === facts.author, names);
    }
    for (const id of left) {
      this.nodes.get(id)!.remove();
      this.nodes.delete(id);
    }
    const gone = new Set(this.edges.keys());
    for (const line of links) {
      const key = `${line.a} ${line.b}`;
      gone.delete(key);
      let edge = this.edges.get(key);
      if (!edge) {
        edge = { line, element: document.createElementNS(SVG, "line") };
        this.edges.set(key, edge);
        this.lines.append(edge.element);
      }
      edge.element.setAttribute(
        "class",
        `link${line.sure ? "" : " unsure"}${line.own ? " own" : ""}`,
      );
    }
    for (const key of gone) {
      this.edges.get(key)!.element.remove();
      this.edges.delete(key);
    }
    if (!changed && !this.first) return;
    if (calm.matches || this.first) this.forces.settle();
    if (this.first) {
      this.first = false;
      this.box = this.wanted();
    }
    this.run();
  }

  glow(member: string): void {
    if (calm.matches) return;
    for (const author of this.byMember.get(member) ?? []) {
      const node = this.nodes.get(author);
      if (!node) continue;
      const ring = document.createElementNS(SVG, "circle");
      ring.setAttribute("class", "ring");
      ring.setAttribute("r", "10");
      ring.addEventListener("animationend", () => ring.remove());
      node.prepend(ring);
    }
  }

  /** The panel has another size. */
  fit(): void {
    this.run();
  }

  private showNode(node: NodeFacts, own: boolean, names: boolean): void {
    let element = this.nodes.get(node.author);
    if (!element) {
      element = document.createElementNS(SVG, "g");
      element.dataset.author = node.author;
      for (const part of ["circle", "text", "text", "title"]) {
        element.append(document.createElementNS(SVG, part));
      }
      this.nodes.set(node.author, element);
      this.dots.append(element);
    }
    const circle = element.querySelector("circle:not(.ring)")!;
    const [letters, name] = [...element.querySelectorAll("text")];
    const color = colorFor(node.member);
    const shown = oneLine(node.name) || node.author.slice(0, 8);
    element.setAttribute("class", `peer${own ? " own" : ""}`);
    circle.setAttribute("r", String(own ? OWN : 10));
    circle.setAttribute("fill", color);
    letters!.setAttribute("class", "peer-letters");
    letters!.setAttribute("fill", inkOn(color));
    letters!.setAttribute("dy", "0.35em");
    letters!.textContent = initials(shown);
    name!.setAttribute("class", "peer-name");
    name!.setAttribute("dy", own ? "26" : "22");
    name!.textContent = names || own ? (shown.length > 16 ? `${shown.slice(0, 15)}…` : shown) : "";
    const links = count(node.degree, "link");
    element.querySelector("title")!.textContent = own
      ? `${shown} (you), ${links}`
      : `${shown}, ${links}${node.age > 15 ? `, heard of ${span(node.age)} ago` : ""}`;
  }

  private run(): void {
    if (!this.frame) this.frame = requestAnimationFrame(this.step);
  }

  private readonly step = (): void => {
    this.frame = 0;
    if (this.forces.moving) this.forces.step();
    const goal = this.wanted();
    const ease = calm.matches ? 1 : EASE;
    let rest = 0;
    for (const key of ["x", "y", "w", "h"] as const) {
      const way = goal[key] - this.box[key];
      this.box[key] += way * ease;
      rest = Math.max(rest, Math.abs(way));
    }
    this.draw();
    if (this.forces.moving || rest > 0.5) this.run();
  };

  private draw(): void {
    const { x, y, w, h } = this.box;
    this.svg.setAttribute("viewBox", [x, y, w, h].map((one) => one.toFixed(1)).join(" "));
    for (const [id, element] of this.nodes) {
      const body = this.forces.bodies.get(id);
      if (body) {
        element.setAttribute("transform", `translate(${body.x.toFixed(1)} ${body.y.toFixed(1)})`);
      }
    }
    for (const { line, element } of this.edges.values()) {
      const a = this.forces.bodies.get(line.a);
      const b = this.forces.bodies.get(line.b);
      if (!a || !b) continue;
      element.setAttribute("x1", a.x.toFixed(1));
      element.setAttribute("y1", a.y.toFixed(1));
      element.setAttribute("x2", b.x.toFixed(1));
      element.setAttribute("y2", b.y.toFixed(1));
    }
  }

  /** What the picture should show: everyone, in the panel's shape. */
  private wanted(): { x: number; y: number; w: number; h: number } {
    let [left, right, top, bottom] = [0, 0, 0, 0];
    let any = false;
    for (const { x, y } of this.forces.bodies.values()) {
      left = any ? Math.min(left, x) : x;
      right = any ? Math.max(right, x) : x;
      top = any ? Math.min(top, y) : y;
      bottom = any ? Math.max(bottom, y) : y;
      any = true;
    }
    const { clientWidth, clientHeight } = this.svg;
    const shape = clientWidth && clientHeight ? clientWidth / clientHeight : 1.5;
    let w = Math.max(right - left + 2 * MARGIN, clientWidth / LARGEST);
    let h = Math.max(bottom - top + 2 * MARGIN, clientHeight / LARGEST);
    if (w / h < shape) w = h * shape;
    else h = w / shape;
    return { x: (left + right - w) / 2, y: (top + bottom - h) / 2 + 4, w, h };
  }

  private readonly onDown = (event: PointerEvent): void => {
    const author = (event.target as Element).closest<SVGGElement>(".peer")?.dataset.author;
    const body = author && this.forces.bodies.get(author);
    if (!body) return;
    body.held = true;
    this.svg.setPointerCapture(event.pointerId);
    const move = (now: PointerEvent) => {
      const spot = new DOMPoint(now.clientX, now.clientY).matrixTransform(
        this.svg.getScreenCTM()!.inverse(),
      );
      body.x = spot.x;
      body.y = spot.y;
      this.forces.warm(0.3);
      this.run();
    };
    const up = () => {
      body.held = false;
      this.svg.removeEventListener("pointermove", move);
    };
    this.svg.addEventListener("pointermove", move);
    this.svg.addEventListener("pointerup", up, { once: true });
    this.svg.addEventListener("pointercancel", up, { once: true });
  };
}

/** The picture in a line. */
export function networkWords(): string {
  const facts = network.value;
  if (!facts) return "";
  const { nodes, links } = graphOf(facts);
  return `${count(nodes.length, "peer")} here, ${count(links.length, "link")}`;
}

export function NetworkMap({ large }: { large?: boolean }) {
  const svg = useRef<SVGSVGElement>(null);
  useEffect(() => {
    const drawing = new Drawing(svg.current!);
    const stops = [
      effect(() => {
        if (network.value) drawing.show(network.value);
      }),
      effect(() => {
        if (pulse.value && performance.now() - pulse.value.at < 1000)
          drawing.glow(pulse.value.member);
      }),
    ];
    const watch = new ResizeObserver(() => drawing.fit());
    watch.observe(svg.current!);
    return () => {
      for (const stop of stops) stop();
      watch.disconnect();
      drawing.destroy();
    };
  }, []);
  const words = networkWords();
  return (
    <div class={`map${large ? " large" : ""}`}>
      <svg ref={svg} role="img" aria-label={`Network: ${words}`} />
      {large && <p class="map-words faint">{words}</p>}
    </div>
  );
}

/** The same in words. */
export function NetworkTable() {
  const facts = network.value;
  if (!facts) return null;
  const { nodes } = graphOf(facts);
  const names = new Map(
    nodes.map((node) => [node.author, oneLine(node.name) || node.author.slice(0, 8)]),
  );
  return (
    <table class="peers-table">
      <thead>
        <tr>
          <th scope="col">Peer</th>
          <th scope="col">Links</th>
          <th scope="col">To</th>
          <th scope="col">Heard of</th>
        </tr>
      </thead>
      <tbody>
        {nodes.map((node) => (
          <tr key={node.author}>
            <th scope="row">
              <span class="dot" style={{ backgroundColor: colorFor(node.member) }} />{" "}
              {names.get(node.author)}
              {node.author === facts.author && <span class="faint"> (you)</span>}
            </th>
            <td>{node.degree}</td>
            <td>
              {node.neighbors
                .map((one) => names.get(one))
                .filter(Boolean)
                .join(", ")}
            </td>
            <td>{node.author === facts.author ? "" : `${span(node.age)} ago`}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
