// What a user may and may not write against `interproc/queue`.

import { Queue } from 'interproc'
import * as queue from 'interproc/queue'
import type { QueueDecodeError, QueueMessage, QueueStats } from 'interproc/queue'

async function use () {
  const jobs = new Queue<{ id: number }>('jobs', { capacity: 1024, codec: 'msgpack', persistent: true })
  const same: typeof queue.Queue = Queue
  await jobs.send({ id: 1 }, { signal: AbortSignal.timeout(5) })
  const taken: boolean = jobs.trySend({ id: 2 })
  await jobs.sendMany(new Set([{ id: 3 }]))
  jobs.sendSync({ id: 4 }, { timeout: 5 })
  const { id }: { id: number } = await jobs.receive()
  const perhaps: number | undefined = jobs.tryReceive()?.id
  const many: { id: number }[] = await jobs.receiveMany(10)
  jobs.receiveSync({ timeout: 1, spin: 0 })?.id.toFixed()
  for await (const job of jobs) job.id.toFixed()
  const count: number = jobs.drain(view => void [view.getUint32(0, true), view.toBuffer().length], { max: 3 })
  const stats: QueueStats = jobs.stats()
  jobs.on('message', job => job.id).ref().unref().close()

  const kept = new Queue<QueueMessage<string>>({ ack: true, path: '/tmp/x.queue', codec: { encode: String, decode: bytes => bytes.toString() } })
  await kept.flush()
  const dropped: number | undefined = kept.restored?.dropped
  const message = await kept.receive()
  if (message.redelivered || !message.ack()) message.release()
  message.data.trim()
  const { received } = new Error() as QueueDecodeError
  if (received.data.readUInt8(0) === 0) received.release()

  // @ts-expect-error there is no such codec
  void new Queue('jobs', { codec: 'xml' })
  // @ts-expect-error there is no such option
  void new Queue('jobs', { size: 1 })
  // @ts-expect-error a codec has both directions
  void new Queue('jobs', { codec: { encode: String } })
  // @ts-expect-error a message may be missing
  jobs.tryReceive().id
  // @ts-expect-error many are iterable
  await jobs.sendMany(1)
  // @ts-expect-error what blocks heeds no signal
  jobs.receiveSync({ signal: AbortSignal.timeout(5) })
  // @ts-expect-error the name is fixed
  jobs.name = 'other'
  void [same, taken, id, perhaps, many, count, stats]
}

void use
