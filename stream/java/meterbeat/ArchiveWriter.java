package meterbeat;

import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.column.ParquetProperties.WriterVersion;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.api.WriteSupport;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.OutputFile;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.io.api.RecordConsumer;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;

/** Makes Parquet files of heartbeats; the columns are those of infra/contracts/archive.py. */
final class ArchiveWriter extends ParquetWriter.Builder<Heartbeat, ArchiveWriter> {
  // A row group leaves for S3 once it is full: what stays for the checkpoint, which ends all files at once, is small.
  // Each file has another size of them, so that the files do not fill theirs together.
  private static final long ROW_GROUP_BYTES_MIN = 2 << 20;
  private static final long ROW_GROUP_BYTES_MAX = 4 << 20;

  ArchiveWriter(OutputFile file) {
    super(file);
    // Delta encoding makes the nearly sorted times a few bits each; a dictionary pays for regions alone.
    withWriterVersion(WriterVersion.PARQUET_2_0);
    withDictionaryEncoding(false);
    withDictionaryEncoding("region", true);
    withCompressionCodec(CompressionCodecName.ZSTD);
    withRowGroupSize(ThreadLocalRandom.current().nextLong(ROW_GROUP_BYTES_MIN, ROW_GROUP_BYTES_MAX));
  }

  @Override
  protected ArchiveWriter self() {
    return this;
  }

  @Override
  protected WriteSupport<Heartbeat> getWriteSupport(Configuration configuration) {
    return new Columns();
  }

  private static final class Columns extends WriteSupport<Heartbeat> {
    private static final MessageType SCHEMA =
        MessageTypeParser.parseMessageType(
            "message heartbeat { required int32 user_id; required int64 sent_at; required int64 register;"
                + " required int32 rate; required binary region (STRING); }");

    private final Map<Long, Binary> regions = new HashMap<>();
    private RecordConsumer out;

    @Override
    public WriteContext init(Configuration configuration) {
      return new WriteContext(SCHEMA, Map.of());
    }

    @Override
    public void prepareForWrite(RecordConsumer recordConsumer) {
      out = recordConsumer;
    }

    @Override
    public void write(Heartbeat heartbeat) {
      out.startMessage();
      integer("user_id", 0, heartbeat.userId);
      bigint("sent_at", 1, heartbeat.sentAt);
      bigint("register", 2, heartbeat.register);
      integer("rate", 3, heartbeat.rate);
      out.startField("region", 4);
      out.addBinary(regions.computeIfAbsent(heartbeat.tag >> 2, Columns::region));
      out.endField("region", 4);
      out.endMessage();
    }

    private void integer(String name, int index, int value) {
      out.startField(name, index);
      out.addInteger(value);
      out.endField(name, index);
    }

    private void bigint(String name, int index, long value) {
      out.startField(name, index);
      out.addLong(value);
      out.endField(name, index);
    }

    private static Binary region(long number) {
      byte[] six = ByteBuffer.allocate(Long.BYTES).putLong(number << 16).array();
      int length = 6;
      while (six[length - 1] == 0) {
        length--;
      }
      return Binary.fromConstantByteArray(six, 0, length);
    }
  }
}
