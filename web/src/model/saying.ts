// Short words to the person, and questions to them: the page's own, no window of the browser.

import { signal } from "@preact/signals";

export interface Toast {
  id: number;
  text: string;
  bad: boolean;
  action?: { label: string; run: () => void };
}

export const toasts = signal<Toast[]>([]);
const STAYS = 5000; // ms; what is bad stays twice as long
let lastToast = 0;

export function tell(text: string, more: Partial<Pick<Toast, "bad" | "action">> = {}): void {
  const toast: Toast = { id: ++lastToast, text, bad: more.bad ?? false, action: more.action };
  toasts.value = [...toasts.value.filter((one) => one.text !== text), toast].slice(-4);
  window.setTimeout(() => dismiss(toast.id), STAYS * (toast.bad ? 2 : 1));
}

/** Something did not work: say why. */
export function tellError(error: unknown): void {
  tell(error instanceof Error ? error.message : String(error), { bad: true });
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

export interface Choice {
  label: string;
  value: string;
  kind?: "main" | "danger" | "plain";
}

export interface Question {
  title: string;
  text: string;
  detail?: string;
  choices: Choice[];
  /** Offer to answer the same for all that follow. */
  forAll?: string;
  answer: (value: string, forAll: boolean) => void;
}

export const question = signal<Question | null>(null);

/** Ask; "" if the person wants none of it. */
export function askPerson(
  asked: Omit<Question, "answer">,
): Promise<{ value: string; forAll: boolean }> {
  question.value?.answer("", false);
  return new Promise((resolve) => {
    question.value = {
      ...asked,
      answer: (value, forAll) => {
        question.value = null;
        resolve({ value, forAll });
      },
    };
  });
}

/** What is open above everything else. */
export type Over = "" | "palette" | "help" | "network" | "status";
export const over = signal<Over>("");

/** On a phone: which panel is a sheet over the editor. */
export type Sheet = "" | "files" | "people" | "chat" | "network";
export const sheet = signal<Sheet>("");
