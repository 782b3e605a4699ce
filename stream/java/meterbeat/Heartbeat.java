package meterbeat;

/** One message as the source hands it on: a heartbeat, a tick, or what is neither, with the reason. */
public final class Heartbeat {
  /** The utility of a tick, which only carries event time. */
  public static final int TICK = -1;

  public int utility;
  public int userId;
  public int rate;
  public long sentAt;
  public long register;

  /** The region's six bytes, read as a big-endian number, times four plus the utility's code. */
  public long tag;

  /** Why the message is no heartbeat; null if it is one. The fields below are set only then. */
  public String reason;

  public byte[] key;
  public byte[] value;
  public String topic;
  public int partition;
  public long offset;
  public long timestamp;
}
