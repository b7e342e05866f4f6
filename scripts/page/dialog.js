// dialog: asks somebody before anything is changed.

import { el } from './dom.js'
import { t } from './words.js'

const dialog = document.getElementById('dialog')

// Whether somebody said yes. `content` is text or an element.
export function confirm(title, content, yes = t('yes')) {
  document.getElementById('dialog-title').textContent = title
  document.getElementById('dialog-body').replaceChildren(typeof content === 'string' ? el('p', {}, content) : content)
  document.getElementById('dialog-yes').textContent = yes
  dialog.returnValue = 'no'
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true })
  })
}

// What somebody entered, or null.
export async function enter(title, why, field, yes) {
  const content = el('div', {}, el('p', {}, why), field)
  return await confirm(title, content, yes) ? field.value : null
}
