// dead: dead letters by group; one of them with its story; replay, edit and drop.

import { get, post } from './api.js'
import { confirm, enter } from './dialog.js'
import { el, pairs, table } from './dom.js'
import { t, time } from './words.js'

const keys = (m) => [m.business_key1, m.business_key2, m.business_key3].filter(Boolean).join(', ')

function link(text, go) {
  return el('button', { type: 'button', class: 'link', onclick: go }, text)
}

// Says first how many are meant, then does it.
async function change(page, verb, which) {
  const path = `/v1/dead/${verb}`
  const dry = await post(path, { ...which, dry_run: true })
  const done = verb === 'replay' ? 'replayed' : 'dropped'
  if (!await confirm(t(verb), t(`${verb}_asks`, dry[done]), t(verb))) return
  const result = await post(path, which)
  page.say(t(done, result[done]))
  page.show('dead')
}

function button(page, text, act) {
  return el('button', { type: 'button', onclick: page.guard(act) }, text)
}

function actions(page, which, all, ...more) {
  return el('p', { class: 'actions' }, more, ['replay', 'drop'].map((verb) =>
    button(page, t(all ? `${verb}_all` : verb), () => change(page, verb, which))))
}

function letters_table(page, letters) {
  if (letters.length === 0) return el('p', {}, t('nothing_found'))
  return table(t('dead'), [{ name: t('id') }, { name: t('at'), kind: 'time' }, { name: t('type') }, { name: t('key') },
    { name: t('queue') }, { name: t('error') }],
  letters.map((l) => [link(t('open', l.id), () => page.show('dead', { id: l.id })), time(l.at), l.type, keys(l),
    l.queue, l.error]))
}

async function found(page, text) {
  const [by_key, by_id] = await Promise.all([get('/v1/dead', { key1: text }), get('/v1/dead', { message_id: text })])
  return letters_table(page, [...by_key, ...by_id.filter((l) => !by_key.some((k) => k.id === l.id))])
}

function search(page, text) {
  const input = el('input', { type: 'search', name: 'text', value: text ?? '', 'aria-label': t('search_for'), placeholder: t('search_for') })
  return el('form', { class: 'search', role: 'search',
    onsubmit: (event) => { event.preventDefault(); page.show('dead', { text: input.value }) } },
  input, el('button', {}, t('search')))
}

async function groups(page) {
  const list = await get('/v1/dead/groups')
  if (list.length === 0) return el('p', {}, t('no_dead'))
  return table(t('groups'), [{ name: t('count'), kind: 'number' }, { name: t('error') }, { name: t('queue') },
    { name: t('side') }, { name: t('last'), kind: 'time' }],
  list.map((g) => [String(g.count), link(g.error, () => page.show('dead', { group: g.group, error: g.error })), g.queue,
    g.side, time(g.last_at)]))
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body ?? ''
  }
}

async function edit(page, letter) {
  const field = el('textarea', { 'aria-label': t('body'), spellcheck: 'false' })
  field.value = pretty(letter.body)
  const text = await enter(t('edit'), t('edit_asks', letter.id), field, t('save'))
  if (text === null) return
  let body
  try {
    body = JSON.parse(text)
  } catch (problem) {
    page.say(t('no_json', problem.message))
    return
  }
  await post(`/v1/dead/${letter.id}/edit`, { body, dry_run: true })
  if (!await confirm(t('edit'), t('edit_dry'), t('write'))) return
  await post(`/v1/dead/${letter.id}/edit`, { body })
  page.say(t('edited', letter.id))
  page.show('dead', { id: letter.id })
}

function story_of(story) {
  return [
    el('h2', {}, t('story')),
    table(t('story'), [{ name: t('at'), kind: 'time' }, { name: '' }, { name: '' }],
      story.steps.map((step) => [time(step.at), step.where, step.what])),
    story.unknown.length > 0 && el('p', {}, `${t('unknown')}: ${story.unknown.join('; ')}`),
  ]
}

async function one(page, id) {
  const letter = await get(`/v1/dead/${id}`)
  const story = letter.message_id ? await get('/v1/trace', { message_id: letter.message_id }) : null
  return [
    el('h2', {}, t('open', letter.id)),
    el('p', { class: 'bad' }, letter.error),
    actions(page, { ids: [letter.id] }, false, button(page, t('edit'), () => edit(page, letter))),
    pairs([[t('message_id'), letter.message_id], [t('type'), letter.type], [t('key'), keys(letter)], [t('queue'), letter.queue],
      [t('at'), time(letter.at)], [t('attempts'), letter.attempts], [t('generation'), letter.generation],
      [t('traceback'), letter.traceback]]),
    el('h2', {}, t('body')),
    el('pre', { tabindex: '0' }, pretty(letter.body)),
    story && story_of(story),
  ]
}

export async function view(page, what) {
  const back = el('p', {}, link(t('back'), () => page.show('dead')))
  if (what.id) return [back, await one(page, what.id)]
  if (what.text) return [search(page, what.text), back, await found(page, what.text)]
  if (what.group) {
    return [back, el('h2', {}, t('letters_of', what.error)), actions(page, { group: what.group }, true),
      letters_table(page, await get('/v1/dead', { group: what.group }))]
  }
  return [search(page), el('h2', {}, t('groups')), await groups(page)]
}
