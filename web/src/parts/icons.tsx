// Small pictures, drawn here: 16 × 16, in the color of the text around them.

import type { ComponentChildren } from "preact";
import type { Look } from "../model/kinds";

export type IconName = keyof typeof PATHS;

const PATHS = {
  chevron: <path d="m6 4 4 4-4 4" />,
  first: <path d="M4.5 3.5v9M11.5 4 7.5 8l4 4" />,
  close: <path d="m4 4 8 8M12 4l-8 8" />,
  plus: <path d="M8 3v10M3 8h10" />,
  folder: (
    <path d="M1.8 4.2c0-.8.5-1.2 1.2-1.2h3l1.5 1.8h5.5c.8 0 1.2.5 1.2 1.2v6c0 .8-.5 1.2-1.2 1.2h-10c-.8 0-1.2-.5-1.2-1.2z" />
  ),
  newFile: (
    <path d="M9.2 1.8H4.5c-.7 0-1.2.5-1.2 1.2v10c0 .7.5 1.2 1.2 1.2h4M9.2 1.8l3.5 3.5v2.2M9.2 1.8v3.5h3.5M11.5 10v4M9.5 12h4" />
  ),
  newFolder: (
    <path d="M8 13.2H3c-.8 0-1.2-.5-1.2-1.2V4.2C1.8 3.4 2.3 3 3 3h3l1.5 1.8H13c.8 0 1.2.5 1.2 1.2v2M11.5 10v4M9.5 12h4" />
  ),
  upload: <path d="M8 10V2.5M5 5.3l3-2.9 3 2.9M2.5 10.5v2c0 .6.4 1 1 1h9c.6 0 1-.4 1-1v-2" />,
  download: <path d="M8 2.5V10M5 7.2l3 2.9 3-2.9M2.5 10.5v2c0 .6.4 1 1 1h9c.6 0 1-.4 1-1v-2" />,
  search: <path d="M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3l3.4 3.4" />,
  people: (
    <path d="M6 7.5a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6zM1.8 13c0-2.3 1.9-3.6 4.2-3.6s4.2 1.3 4.2 3.6M10.5 7.4a2 2 0 1 0-.4-4M12 9.5c1.4.5 2.3 1.6 2.3 3.5" />
  ),
  chat: (
    <path d="M2 3.7c0-.6.4-1 1-1h10c.6 0 1 .4 1 1v6.6c0 .6-.4 1-1 1H7.5L4.5 14v-2.7H3c-.6 0-1-.4-1-1z" />
  ),
  network: (
    <path d="M8 5.2a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4zM3.5 13.7a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4zM12.5 13.7a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4zM7.2 5l-2.9 5.4M8.8 5l2.9 5.4M5.2 12h5.6" />
  ),
  sun: (
    <path d="M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9" />
  ),
  moon: <path d="M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1z" />,
  auto: <path d="M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 2v12M8 5h3.5M8 8h6M8 11h3.5" />,
  help: (
    <path d="M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.3 6.3c.2-1 .9-1.5 1.8-1.5 1 0 1.8.6 1.8 1.6 0 1.4-1.8 1.4-1.8 2.7M8.05 11.1v.1" />
  ),
  warning: <path d="M8 2.3 14.3 13.5H1.7zM8 6.5v3.3M8 11.5v.1" />,
  conflict: (
    <path d="M4 2.5v4c0 1.5 1 2.5 2.5 2.5h3C11 9 12 10 12 11.5v2M12 2.5v4C12 8 11 9 9.5 9M4 13.5v-2M2.5 4 4 2.5 5.5 4M10.5 4 12 2.5 13.5 4" />
  ),
  check: <path d="m3 8.5 3.2 3.2L13 4.8" />,
  dots: <path d="M8 3.5v.1M8 8v.1M8 12.5v.1" stroke-width="2" />,
  eye: (
    <path d="M1.5 8S4 3.7 8 3.7 14.5 8 14.5 8 12 12.3 8 12.3 1.5 8 1.5 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z" />
  ),
  send: <path d="M2.5 8h9M8 3.8 12.5 8 8 12.2" />,
  wide: <path d="M9.5 2.5h4v4M6.5 13.5h-4v-4M13.5 2.5l-4.5 4.5M2.5 13.5 7 9" />,
  sidebar: (
    <path d="M3 2.7h10c.6 0 1 .4 1 1v8.6c0 .6-.4 1-1 1H3c-.6 0-1-.4-1-1V3.7c0-.6.4-1 1-1zM6 2.7v10.6" />
  ),
  side: (
    <path d="M3 2.7h10c.6 0 1 .4 1 1v8.6c0 .6-.4 1-1 1H3c-.6 0-1-.4-1-1V3.7c0-.6.4-1 1-1zM10 2.7v10.6" />
  ),
  key: (
    <path d="M10.2 9.3a3.5 3.5 0 1 0-3.5-3.5c0 .4 0 .7.2 1L2.5 11.2v2.3h2.3v-1.7h1.7v-1.7l1.6-1.2c.6.3 1.3.4 2.1.4zM11 5.2v.1" />
  ),
  edit: (
    <path d="m3 13 .7-3L10.8 2.9c.5-.5 1.2-.5 1.7 0l.6.6c.5.5.5 1.2 0 1.7L6 12.3zM9.5 4.2l2.3 2.3" />
  ),
} satisfies Record<string, ComponentChildren>;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true">
      {PATHS[name]}
    </svg>
  );
}

const SHEET = "M9.5 1.8H4.3c-.6 0-1 .4-1 1v10.4c0 .6.4 1 1 1h7.4c.6 0 1-.4 1-1V5zM9.5 1.8V5h3.2";

const LOOKS: Record<Look, ComponentChildren> = {
  folder: PATHS.folder,
  text: <path d={`${SHEET}M5.5 7.5h5M5.5 9.7h5M5.5 11.9h3`} />,
  code: <path d={`${SHEET}M6.8 7.5 5 9.5l1.8 2M9.2 7.5l1.8 2-1.8 2`} />,
  data: (
    <path
      d={`${SHEET}M7 7.2c-1 0-.8.9-.8 1.3 0 .6-.3 1-.9 1 .6 0 .9.4.9 1 0 .4-.2 1.3.8 1.3M9 7.2c1 0 .8.9.8 1.3 0 .6.3 1 .9 1-.6 0-.9.4-.9 1 0 .4.2 1.3-.8 1.3`}
    />
  ),
  image: (
    <path d="M3 2.8h10c.6 0 1 .4 1 1v8.4c0 .6-.4 1-1 1H3c-.6 0-1-.4-1-1V3.8c0-.6.4-1 1-1zM2.3 11.5 5.8 8l2.7 2.7 2-2 3.2 3.2M10.8 6.2v.1" />
  ),
  sound: (
    <path d="M6 12V4l6.5-1.5v8.3M6 12a1.7 1.7 0 1 1-3.4 0A1.7 1.7 0 0 1 6 12zM12.5 10.8a1.7 1.7 0 1 1-3.4 0 1.7 1.7 0 0 1 3.4 0z" />
  ),
  film: (
    <path d="M3 2.8h10c.6 0 1 .4 1 1v8.4c0 .6-.4 1-1 1H3c-.6 0-1-.4-1-1V3.8c0-.6.4-1 1-1zM6.7 5.7v4.6l3.6-2.3z" />
  ),
  pdf: (
    <path
      d={`${SHEET}M5.5 12c1.5-1 2.8-3.5 2.6-4.8-.3-.8-1-.3-.8.5.3 1.6 1.5 2.9 3.3 2.9.9-.1.8-.9-.1-.9-1.7 0-3.7.9-5 2.3z`}
    />
  ),
  archive: <path d={`${SHEET}M7 2v1.5h1.5V5H7v1.5h1.5V8H7v2.5h1.5V8`} />,
  database: (
    <path d="M8 6.3c2.8 0 5-.9 5-2s-2.2-2-5-2-5 .9-5 2 2.2 2 5 2zM3 4.3v7.4c0 1.1 2.2 2 5 2s5-.9 5-2V4.3M3 8c0 1.1 2.2 2 5 2s5-.9 5-2" />
  ),
  link: <path d={`${SHEET}M6.3 11.5c0-2 1-3 3.2-3M8 6.9l1.8 1.6L8 10.1`} />,
  binary: <path d={`${SHEET}M6 7.5v1.8M8.5 7.5h1.5v1.8H8.5zM6 10.7h1.5v1.8H6zM10 10.7v1.8`} />,
};

export function FileIcon({ look }: { look: Look }) {
  return (
    <svg class={`icon look-${look}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      {LOOKS[look]}
    </svg>
  );
}

/** The meerkat. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--brand)" />
      <path
        d="M10.2 27c0-7 1-9.5 1.4-13.2C11 8.6 12.6 5 16 5s5 3.6 4.4 8.8C20.8 17.5 21.8 20 21.8 27z"
        fill="#fff6ec"
      />
      <ellipse cx="13.7" cy="10.6" rx="1.7" ry="1.9" fill="#5a2a10" />
      <ellipse cx="18.3" cy="10.6" rx="1.7" ry="1.9" fill="#5a2a10" />
      <path d="M15 13.4h2l-1 1.3z" fill="#5a2a10" />
      <circle cx="14" cy="10.2" r=".6" fill="#fff" />
      <circle cx="18.6" cy="10.2" r=".6" fill="#fff" />
    </svg>
  );
}
