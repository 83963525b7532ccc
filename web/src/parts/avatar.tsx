// A person as a circle in their color.

import { inkOn } from "../model/color";
import { initials } from "../model/shown";

export function Avatar(props: { name: string; color: string; away?: boolean; size?: "small" }) {
  const { name, color } = props;
  return (
    <span
      class={`avatar${props.away ? " away" : ""}${props.size ? ` ${props.size}` : ""}`}
      style={{ backgroundColor: color, color: inkOn(color) }}
      aria-hidden="true"
    >
      {initials(name)}
    </span>
  );
}
