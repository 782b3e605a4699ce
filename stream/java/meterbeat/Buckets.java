package meterbeat;

import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.table.data.RowData;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.common.typeinfo.Types;

/** Packs and windows heartbeats by buckets of users, spread evenly over the job's subtasks. */
public final class Buckets {
  private Buckets() {}

  /** Returns the packs of a stream of messages; dead letters are its side output. */
  public static SingleOutputStreamOperator<RowData> pack(
      DataStream<Heartbeat> messages, int buckets, long windowMs, int parallelism, int maxParallelism) {
    int[] labels = evenLabels(buckets, parallelism, maxParallelism);
    return messages.transform("pack", Rows.PACK, new Packer(labels, windowMs)).uid("pack");
  }

  /** Returns the messages that are no heartbeats. */
  public static DataStream<RowData> deadLetters(SingleOutputStreamOperator<RowData> packs) {
    return packs.getSideOutput(Packer.DEAD_LETTERS);
  }

  /** Returns the whole windows of packs, a bucket at a time. */
  public static DataStream<RowData> windows(DataStream<RowData> packs) {
    KeySelector<RowData, Integer> label = pack -> pack.getInt(0);
    return packs
        .keyBy(label, Types.INT)
        .transform("windows", Rows.WINDOW, new Windows())
        .uid("windows");
  }

  /**
   * Returns the end of the window that a bucket has an instant in, all in milliseconds.
   *
   * <p>The buckets' windows end one after the other, evenly spread: were they to end together, the last
   * bucket's heartbeats would wait until those of all others are written.
   */
  public static long windowEnd(long instant, int bucket, int buckets, long windowMs) {
    long begin = windowMs * bucket / buckets;
    return instant - Math.floorMod(instant - begin, windowMs) + windowMs;
  }

  /**
   * Returns a key for each bucket such that Flink, which sends a key where its hash says, gives every
   * subtask as many buckets as any other.
   */
  public static int[] evenLabels(int buckets, int parallelism, int maxParallelism) {
    int[] labels = new int[buckets];
    int[] next = new int[parallelism];
    for (int bucket = 0; bucket < buckets; bucket++) {
      int subtask = bucket % parallelism;
      int label = next[subtask];
      while (KeyGroupRangeAssignment.assignKeyToParallelOperator(label, maxParallelism, parallelism) != subtask) {
        label++;
      }
      labels[bucket] = label;
      next[subtask] = label + 1;
    }
    return labels;
  }
}
