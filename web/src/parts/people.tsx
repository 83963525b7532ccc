// Who is in the pool, who is here, and where.

import { follow, following } from "../model/following";
import { type Present, present, status } from "../model/pool";
import { tell } from "../model/saying";
import { shownPath } from "../model/shown";
import { active, open } from "../model/tabs";
import { Avatar } from "./avatar";
import { talkTo } from "./chat";
import { Icon } from "./icons";

const MOST_AWAY = 5;

export function People() {
  const all = present.value;
  const here = all.filter((one) => one.here);
  const away = all.filter((one) => !one.here);
  return (
    <ul class="people" aria-label="People">
      {here.map((one) => (
        <Person key={one.member} one={one} />
      ))}
      {away.slice(0, MOST_AWAY).map((one) => (
        <Person key={one.member} one={one} />
      ))}
      {away.length > MOST_AWAY && (
        <li class="faint people-more">and {away.length - MOST_AWAY} more who are away</li>
      )}
      {all.length < 2 && status.value && (
        <li class="empty">
          You are the only one here. <code>meerkat invite</code> prints an invitation.
        </li>
      )}
    </ul>
  );
}

function Person({ one }: { one: Present }) {
  const front = active.value?.path;
  const place = one.places.find((place) => place.path === front) ?? one.places[0];
  const others = new Set(one.places.map((place) => place.path)).size - 1;
  const followed = following.value?.member === one.member;
  const where = place
    ? `${shownPath(place.path)}${others > 0 ? ` +${others}` : ""}`
    : one.own
      ? ""
      : one.here
        ? "no file open"
        : "away";
  const go = () => {
    if (one.own) {
      if (place) open(place.path);
    } else if (place) follow(one);
    else tell(`${one.name} has no text open.`);
  };
  return (
    <li class={`person${one.here ? "" : " away"}${followed ? " followed" : ""}`}>
      <button
        type="button"
        class="person-main"
        aria-pressed={place && !one.own ? followed : undefined}
        title={place && !one.own ? "Go to their place and follow" : undefined}
        onClick={go}
      >
        <Avatar name={one.name} color={one.color} away={!one.here} />
        <span class="person-words">
          <span class="name">
            {one.name || "someone"}
            {one.own && <span class="faint"> (you)</span>}
          </span>
          <span class="faint name">{where}</span>
        </span>
      </button>
      {followed && <Icon name="eye" size={14} />}
      {!one.own && (
        <button
          type="button"
          class="quiet person-talk"
          aria-label={`Write to ${one.name} alone`}
          title={`Write to ${one.name} alone`}
          onClick={() => talkTo(one.name)}
        >
          <Icon name="chat" size={14} />
        </button>
      )}
    </li>
  );
}
