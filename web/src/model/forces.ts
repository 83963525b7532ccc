// Where the peers stand in the picture: links pull like springs, all push each other away, and the
// middle holds everything together. Small steps, cooling down; a change warms it up a little.

export interface Body {
  id: string;
  x: number;
  y: number;
  vx: number;
  vy: number;
  held: boolean; // by the person's hand
}

const LENGTH = 84; // of a link at rest, in units of the picture
const PUSH = 5200; // of each pair
const PULL = 0.05; // of a link, per unit of stretch
const MIDDLE = 0.012; // towards the middle, per unit of distance
const DRAG = 0.78; // of the speed that is kept each step
const COOLING = 0.985;
const REST = 0.012; // warmth below which nothing moves any more
const FASTEST = 24; // units a step
const CLOSEST = 40; // units² below which a push does not grow any more

export class Forces {
  readonly bodies = new Map<string, Body>();
  private links: readonly (readonly [string, string])[] = [];
  private warmth = 1;

  /** Whether anything still moves. */
  get moving(): boolean {
    return this.warmth > REST;
  }

  /** Who is there now. Who is new appears beside a neighbor. Answers whether anything changed. */
  set(ids: readonly string[], links: readonly (readonly [string, string])[]): boolean {
    const wanted = new Set(ids);
    let changed = false;
    for (const id of this.bodies.keys()) {
      if (!wanted.has(id)) {
        this.bodies.delete(id);
        changed = true;
      }
    }
    ids.forEach((id, i) => {
      if (this.bodies.has(id)) return;
      changed = true;
      const beside = links.find(
        (link) => link.includes(id) && link.some((one) => this.bodies.has(one)),
      );
      const neighbor = beside && this.bodies.get(beside[0] === id ? beside[1] : beside[0]);
      const turn = i * 2.399963; // the golden angle: even, and the same every time
      const far = neighbor ? 30 : i === 0 ? 0 : 40 + 12 * Math.sqrt(i);
      this.bodies.set(id, {
        id,
        x: (neighbor?.x ?? 0) + far * Math.cos(turn),
        y: (neighbor?.y ?? 0) + far * Math.sin(turn),
        vx: 0,
        vy: 0,
        held: false,
      });
    });
    if (links.length !== this.links.length) changed = true;
    else
      changed ||= links.some(
        (link, i) => link[0] !== this.links[i]![0] || link[1] !== this.links[i]![1],
      );
    this.links = links;
    if (changed) this.warm(0.6);
    return changed;
  }

  warm(to: number): void {
    this.warmth = Math.max(this.warmth, to);
  }

  /** A small step. */
  step(): void {
    const all = [...this.bodies.values()];
    for (let i = 0; i < all.length; i++) {
      const a = all[i]!;
      for (let j = i + 1; j < all.length; j++) {
        const b = all[j]!;
        const dx = a.x - b.x || 0.1;
        const dy = a.y - b.y || 0.1;
        const square = Math.max(dx * dx + dy * dy, CLOSEST);
        const push = (PUSH / square / Math.sqrt(square)) * this.warmth;
        a.vx += dx * push;
        a.vy += dy * push;
        b.vx -= dx * push;
        b.vy -= dy * push;
      }
      a.vx -= a.x * MIDDLE * this.warmth;
      a.vy -= a.y * MIDDLE * this.warmth;
    }
    const crowd = Math.max(1, Math.sqrt((2 * this.links.length) / Math.max(1, all.length)) / 1.6);
    for (const [one, other] of this.links) {
      const a = this.bodies.get(one);
      const b = this.bodies.get(other);
      if (!a || !b) continue;
      const dx = b.x - a.x;
      const dy = b.y - a.y;
      const far = Math.hypot(dx, dy) || 1;
      const pull = (((far - LENGTH) * PULL) / far / crowd) * this.warmth;
      a.vx += dx * pull;
      a.vy += dy * pull;
      b.vx -= dx * pull;
      b.vy -= dy * pull;
    }
    for (const body of all) {
      body.vx *= DRAG;
      body.vy *= DRAG;
      const speed = Math.hypot(body.vx, body.vy);
      const slow = speed > FASTEST ? FASTEST / speed : 1;
      if (body.held) {
        body.vx = 0;
        body.vy = 0;
        continue;
      }
      body.x += body.vx * slow;
      body.y += body.vy * slow;
    }
    this.warmth *= COOLING;
  }

  /** All steps at once, for who wants no motion. */
  settle(): void {
    for (let i = 0; i < 400 && this.moving; i++) this.step();
    this.warmth = 0;
  }
}
