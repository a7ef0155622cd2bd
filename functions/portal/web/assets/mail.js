// Where a mail is: in words, and followed until it stays there.

import { say } from "./page.js";

/** @typedef {"queued" | "sent" | "delivered" | "bounced" | "complained" | "failed"} Mail */

/** Where a mail is, in a word. @type {Record<Mail, string>} */
export const MAIL = {
  queued: say("say.mail.queued"),
  sent: say("say.mail.sent"),
  delivered: say("say.mail.delivered"),
  bounced: say("say.mail.bounced"),
  complained: say("say.mail.complained"),
  failed: say("say.mail.failed"),
};

/** When to ask again about a mail, in milliseconds after each answer; the last wait repeats until the page gives up. */
const WAITS_MS = [1_000, 1_000, 2_000, 2_000, 4_000, 5_000, 10_000];
const GIVE_UP_AFTER = 60;

/**
 * Whether a mail stays where it is.
 * @param {Mail} mail
 */
export function isFinal(mail) {
  return !["queued", "sent"].includes(mail);
}

/**
 * Asks about a mail until it stays where it is, or nobody wants to know any more.
 * @param {() => Promise<Mail | undefined>} look asks and shows; nothing: it is not to be followed any further
 */
export async function followMail(look) {
  for (let asked = 0; asked < GIVE_UP_AFTER; asked += 1) {
    await new Promise((resolve) => setTimeout(resolve, WAITS_MS[Math.min(asked, WAITS_MS.length - 1)]));
    try {
      const mail = await look();
      if (mail === undefined || isFinal(mail)) return;
    } catch {
      // The next question may be answered; what the mail is about is done either way.
    }
  }
}
