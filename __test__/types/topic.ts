// What a user may and may not write against `interproc/topic`.

import { BroadcastChannel, Topic } from 'interproc'
import * as topic from 'interproc/topic'
import type { Subscription, TopicStats } from 'interproc/topic'

async function use () {
  const prices = new Topic<{ id: number }>('prices', { capacity: 1024, codec: 'msgpack' })
  const same: typeof topic.Topic = Topic
  await prices.publish({ id: 1 }, { signal: AbortSignal.timeout(5) })
  const taken: boolean = prices.tryPublish({ id: 2 })
  await prices.publishMany(new Set([{ id: 3 }]))
  prices.publishSync({ id: 4 }, { timeout: 5 })
  const subscription: Subscription<{ id: number }> = prices.subscribe({ lossy: true })
  const { id }: { id: number } = await subscription.receive()
  const perhaps: number | undefined = subscription.tryReceive()?.id
  const many: { id: number }[] = await subscription.receiveMany(10)
  subscription.receiveSync({ timeout: 1, spin: 0 })?.id.toFixed()
  for await (const price of subscription) price.id.toFixed()
  const count: number = subscription.drain(view => void view.getUint32(0, true), { max: 3 }) + subscription.missed
  const stats: TopicStats = prices.stats()
  subscription.on('message', price => price.id).ref().unref().close()

  const channel = new BroadcastChannel('news')
  channel.onmessage = event => event.data
  channel.addEventListener('message', () => {}, { once: true })
  channel.postMessage(new Map())
  channel.ref().unref().close()

  // @ts-expect-error there is no such codec
  void new Topic('prices', { codec: 'xml' })
  // @ts-expect-error a topic keeps nothing
  void new Topic('prices', { persistent: true })
  // @ts-expect-error a message of another type
  prices.tryPublish('text')
  // @ts-expect-error subscriptions are made by a topic
  void new topic.Subscription()
  // @ts-expect-error the name is fixed
  channel.name = 'other'
  // @ts-expect-error a channel has a name
  void new BroadcastChannel()
  return [same, taken, id, perhaps, many, count, stats]
}

void use
