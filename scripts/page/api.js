// api: asks the router; a token is kept for as long as the window is.

const TOKEN = 'herald-token'

export class Refused extends Error {
  constructor(status, said) {
    super([said.what, said.where && `(${said.where})`, said.do].filter(Boolean).join('; '))
    this.status = status
  }
}

export function setToken(token) {
  sessionStorage.setItem(TOKEN, token)
}

async function ask(path, how) {
  const token = sessionStorage.getItem(TOKEN)
  const headers = { ...how.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) }
  const response = await fetch(path, { ...how, headers, cache: 'no-store', redirect: 'error' })
  const answer = await response.json().catch(() => ({}))
  if (!response.ok) {
    throw new Refused(response.status, answer.error?.what ? answer.error
      : { what: typeof answer.error === 'string' ? answer.error : JSON.stringify(answer) })
  }
  return answer
}

const LOOKS = 3

// A router that is busy says so, and when to ask again.
async function look(path) {
  for (let n = 1; ; n++) {
    try {
      return await ask(path, {})
    } catch (problem) {
      if (n === LOOKS || ![429, 503].includes(problem.status)) throw problem
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  }
}

// `query`: names and values; what is empty is left out.
export function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== '' && value != null)
  const words = new URLSearchParams(given).toString()
  return look(words ? `${path}?${words}` : path)
}

export function post(path, body) {
  return ask(path, { method: 'POST', body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', 'X-Herald': '1' } })
}
