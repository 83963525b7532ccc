// A menu at a place: by the right mouse button or the keyboard's menu key.

import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

export interface MenuItem {
  label: string;
  run: () => void;
  keys?: string;
  danger?: boolean;
}

const menu = signal<{ x: number; y: number; items: MenuItem[]; back: HTMLElement | null } | null>(
  null,
);

/** Show it; the focus goes to `back` when it closes. */
export function openMenu(x: number, y: number, items: MenuItem[], back: HTMLElement | null): void {
  menu.value = { x, y, items, back };
}

function close(refocus: boolean): void {
  const back = menu.value?.back;
  menu.value = null;
  if (refocus) back?.focus();
}

export function Menu() {
  const now = menu.value;
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (!now || !element) return;
    const { width, height } = element.getBoundingClientRect();
    element.style.left = `${Math.max(4, Math.min(now.x, innerWidth - width - 4))}px`;
    element.style.top = `${Math.max(4, Math.min(now.y, innerHeight - height - 4))}px`;
    element.querySelector<HTMLElement>("button")?.focus();
  }, [now]);
  if (!now) return null;
  const step = (by: number) => {
    const buttons = [...box.current!.querySelectorAll<HTMLElement>("button")];
    const at = buttons.indexOf(document.activeElement as HTMLElement);
    buttons[(at + by + buttons.length) % buttons.length]?.focus();
  };
  return (
    <div
      class="menu-ground"
      role="presentation"
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) close(true);
      }}
    >
      <div
        ref={box}
        class="menu"
        role="menu"
        tabIndex={-1}
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key === "Escape" || event.key === "Tab") close(true);
          else if (event.key === "ArrowDown") step(1);
          else if (event.key === "ArrowUp") step(-1);
          else return;
          event.preventDefault();
        }}
      >
        {now.items.map((item) => (
          <button
            key={item.label}
            type="button"
            role="menuitem"
            class={item.danger ? "danger" : ""}
            onClick={() => {
              close(true);
              item.run();
            }}
          >
            <span class="grow">{item.label}</span>
            {item.keys && <kbd>{item.keys}</kbd>}
          </button>
        ))}
      </div>
    </div>
  );
}
