import zeromq from './index.js'

export const {
  version, capability, context, Context, Observer, Socket, Pair, Publisher, Subscriber, Request, Reply, Dealer, Router, Pull, Push,
  XPublisher, XSubscriber
} = zeromq
export default zeromq
