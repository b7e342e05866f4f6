// Called by run.sh: looks at the admin door's page in a real browser, and mends with it.
//
//   node page.js URL TOKEN [SHOTS]
//
// The router has two dead letters of group "card ...", one that is hostile, retries and a delayed
// row (run.sh). SHOTS is a folder for screenshots, for people to look at.
const assert = require('node:assert')
const { chromium } = require('playwright-core')

const [url, token, shots] = process.argv.slice(2)
let passed = 0
let failed = 0
let pages = [] // of the test at hand

async function test(name, run) {
  pages = []
  try {
    await run()
    passed++
    console.log(`ok      ${name}`)
  } catch (problem) {
    failed++
    console.log(`FAILED  ${name}\n${problem.stack}`)
    for (const page of pages) console.log(await page.locator('#said, main').allInnerTexts().catch(() => []), page.wrong)
  }
}

async function open(browser, how = {}) {
  const context = await browser.newContext({ locale: 'en-GB', ...how })
  const page = await context.newPage()
  page.wrong = []
  pages.push(page)
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('401')) page.wrong.push(message.text())
  })
  page.on('pageerror', (problem) => page.wrong.push(problem.message))
  page.on('dialog', (dialog) => { page.wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss() })
  page.on('request', (request) => { if (!request.url().startsWith(url)) page.wrong.push(request.url()) })
  await page.goto(url)
  return page
}

async function enter(page, text = token) {
  await page.getByLabel(/^(Token|令牌)$/).fill(text)
  await page.locator('#dialog-yes').click()
}

async function shoot(page, name) {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true })
}

async function to(page, section) {
  await page.getByRole('navigation').getByRole('button', { name: section, exact: true }).click()
}

async function answer_yes(page) {
  await page.locator('#dialog[open] #dialog-yes').click()
}

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] })

  await test('a token is asked for, and a wrong one again', async () => {
    const page = await open(browser)
    await enter(page, 'wrong')
    await page.locator('#dialog[open]').waitFor()
    await enter(page)
    await page.getByText('Dead letters by error').or(page.getByText('3 dead letters')).first().waitFor()
    assert.deepStrictEqual(page.wrong, [])
    await page.context().close()
  })

  await test('it shows what is wrong, what waits and why', async () => {
    const page = await open(browser)
    await enter(page)
    await page.getByRole('status').filter({ hasText: '1 to look at' }).waitFor()
    await page.getByRole('cell', { name: 'scheduled, in good order' }).waitFor()
    await page.getByRole('cell', { name: 'mails' }).waitFor()
    await shoot(page, 'wide')
    await to(page, 'Waiting')
    await page.getByText('the mail server says 421').first().waitFor()
    await to(page, 'Rules')
    await page.getByText('Generation').waitFor()
    assert.deepStrictEqual(page.wrong, [])
    await page.context().close()
  })

  await test('what a message holds is text', async () => {
    const page = await open(browser)
    await enter(page)
    await to(page, 'Dead letters')
    await shoot(page, 'dead')
    await page.getByRole('button', { name: /no such course/ }).click()
    await page.getByRole('button', { name: /^Letter/ }).click()
    await page.locator('pre', { hasText: '<img src=x onerror=alert(1)>' }).waitFor()
    assert.strictEqual(await page.locator('main img, main script').count(), 0)
    await page.getByRole('heading', { name: 'What became of it' }).waitFor()
    await shoot(page, 'letter')
    assert.deepStrictEqual(page.wrong, [])
    await page.context().close()
  })

  await test('letters are found by a business key', async () => {
    const page = await open(browser)
    await enter(page)
    await to(page, 'Dead letters')
    await page.getByRole('searchbox').fill('<b>8</b>')
    await page.getByRole('searchbox').press('Enter')
    await page.getByRole('cell', { name: '<b>8</b>' }).waitFor()
    await page.getByRole('searchbox').fill('nobody')
    await page.getByRole('button', { name: 'Search' }).click()
    await page.getByText('Nothing is found.').waitFor()
    assert.deepStrictEqual(page.wrong, [])
    await page.context().close()
  })

  await test('a letter is mended, asked about first, and replayed', async () => {
    const page = await open(browser)
    await enter(page)
    await to(page, 'Dead letters')
    await page.getByRole('button', { name: /card 7 is unknown/ }).click()
    await page.getByRole('button', { name: /^Letter/ }).first().click()
    await page.getByRole('button', { name: 'Edit' }).click()
    await page.locator('#dialog textarea').fill('{"total": }')
    await answer_yes(page)
    await page.getByRole('alert').filter({ hasText: 'This is no JSON' }).waitFor()
    await page.getByRole('button', { name: 'Edit' }).click()
    await page.locator('#dialog textarea').fill('{"total": 13}')
    await answer_yes(page)
    await page.getByText('Write it?').waitFor()
    await answer_yes(page)
    await page.locator('pre', { hasText: '13' }).waitFor()
    await page.getByRole('button', { name: 'Replay' }).click()
    await page.getByText('1 would be handled again').waitFor()
    await page.locator('#dialog button[value=no]').click()
    await page.getByRole('button', { name: 'Replay' }).click()
    await answer_yes(page)
    await page.getByRole('alert').filter({ hasText: '1 will be handled again' }).waitFor()
    assert.deepStrictEqual(page.wrong, [])
    await page.context().close()
  })

  await test('sending is paused and resumed, by keyboard alone', async () => {
    const page = await open(browser)
    await enter(page)
    await to(page, 'Rules')
    await page.getByRole('button', { name: 'Pause all sending' }).focus()
    await page.keyboard.press('Enter')
    await page.locator('#dialog[open]').waitFor()
    await page.locator('#dialog-yes').focus()
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Resume' }).focus()
    await page.keyboard.press('Enter')
    await page.getByText('Nothing is paused by hand.').waitFor()
    assert.deepStrictEqual(page.wrong, [])
    await page.context().close()
  })

  for (const [name, how] of Object.entries({
    phone: { viewport: { width: 360, height: 740 } },
    dark: { colorScheme: 'dark' },
    chinese: { locale: 'zh-CN' },
  })) {
    await test(`it fits: ${name}`, async () => {
      const page = await open(browser, how)
      await enter(page)
      await page.locator('main .card').first().waitFor()
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
      assert.ok(wide <= 0, `${wide} pixels too wide`)
      await shoot(page, name)
      await page.getByRole('navigation').getByRole('button').nth(1).click()
      await page.locator('main form[role=search]').waitFor()
      await shoot(page, `${name}-dead`)
      assert.strictEqual(await page.evaluate(() => document.documentElement.lang), name === 'chinese' ? 'zh-CN' : 'en')
      assert.deepStrictEqual(page.wrong, [])
      await page.context().close()
    })
  }

  await test('both languages say the same', async () => {
    const page = await open(browser)
    const odd = await page.evaluate(async () => {
      const { words } = await import('/page/words.js')
      const holes = (text) => [...text.matchAll(/\{\d\}/g)].map(String).sort().join()
      return Object.keys({ ...words.en, ...words.zh }).filter((key) => !words.en[key] || !words.zh[key]
        || holes(words.en[key]) !== holes(words.zh[key]))
    })
    assert.deepStrictEqual(odd, [])
    await page.context().close()
  })

  await browser.close()
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed ? 1 : 0)
}

main()
