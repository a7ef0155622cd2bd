// Lists that come in pages: a button adds the next one.

/**
 * Lets a button add the next page to a list, which the focus then moves to.
 * @param {HTMLButtonElement} more
 * @param {HTMLElement} list
 * @param {string | undefined} cursor where the next page begins, if there is one
 * @param {(cursor: string) => Promise<{ items: HTMLElement[], next?: string | undefined } | undefined>} load nothing: the list is another
 *   one by now
 * @param {(error: unknown) => void} failed shows what went wrong; the button stays
 */
export function offerNext(more, list, cursor, load, failed) {
  more.hidden = cursor === undefined;
  more.onclick = cursor === undefined ? null : async () => {
    more.onclick = null;
    more.setAttribute("aria-disabled", "true");
    try {
      const page = await load(cursor);
      if (!page) return;
      list.append(...page.items);
      offerNext(more, list, page.next, load, failed);
      page.items[0]?.focus();
    } catch (error) {
      offerNext(more, list, cursor, load, failed);
      failed(error);
    } finally {
      more.setAttribute("aria-disabled", "false");
    }
  };
}
