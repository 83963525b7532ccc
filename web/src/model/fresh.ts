// Asking again when something changed: at once, never twice at a time, never more often than is good.

const SHARE = 4; // a question that takes long is asked for a fifth of the time at most

/** What makes a value fresh: `ask` gets it, `take` shows it. */
export class Fresh<T> {
  private running = false;
  private again = false;
  private timer = 0;
  private last = Number.NEGATIVE_INFINITY;
  private cost = 0; // ms the last one took

  constructor(
    private readonly ask: () => Promise<T>,
    private readonly take: (value: T) => void,
    private readonly every = 100, // ms between two questions, at least
  ) {}

  /** Something changed. */
  soon(): void {
    if (this.running) {
      this.again = true;
      return;
    }
    if (this.timer) return;
    const pause = Math.max(this.every, this.cost * SHARE);
    const wait = Math.max(0, this.last + pause - performance.now());
    this.timer = window.setTimeout(() => void this.run(), wait);
  }

  private async run(): Promise<void> {
    this.timer = 0;
    this.running = true;
    this.again = false;
    const begun = performance.now();
    try {
      this.take(await this.ask());
    } catch {
      // not connected: everything is asked anew when we are
    } finally {
      this.running = false;
      this.last = performance.now();
      this.cost = this.last - begun;
      if (this.again) this.soon();
    }
  }
}
