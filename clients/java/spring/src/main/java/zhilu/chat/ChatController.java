package zhilu.chat;

import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.codec.ServerSentEvent;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;
import reactor.core.publisher.Flux;

/**
 * POST /api/chat takes {"messages": [{"role", "content"}...], "knowledgeBase"?} and answers with server-sent events: {"text"} for
 * each piece, {"error": {"message"}} where it breaks off, [DONE] at the end.
 */
@RestController
public class ChatController {
    private static final Logger LOG = LoggerFactory.getLogger(ChatController.class);
    private static final int MOST = 20_000; // characters of a conversation

    private final Answering answering;

    public ChatController(Answering answering) {
        this.answering = answering;
    }

    record Asked(List<Answering.Turn> messages, String knowledgeBase) {}

    @GetMapping("/health")
    String health() {
        return "ok\n";
    }

    @PostMapping(path = "/api/chat", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
    Flux<ServerSentEvent<Object>> chat(@RequestBody Asked asked) {
        check(asked.messages());
        String base = asked.knowledgeBase() == null || asked.knowledgeBase().isBlank() ? null : asked.knowledgeBase();
        return answering.answer(asked.messages(), base)
                .map(piece -> event(Map.of("text", piece)))
                // Once it has begun, a stream can only say it as an event.
                .onErrorResume(problem -> {
                    LOG.warn("the answer broke off", problem);
                    return Flux.just(event(Map.of("error", Map.of("message", String.valueOf(problem.getMessage())))));
                })
                .concatWithValues(event("[DONE]"));
    }

    private static ServerSentEvent<Object> event(Object data) {
        return ServerSentEvent.<Object>builder(data).build();
    }

    private static void check(List<Answering.Turn> turns) {
        if (turns == null || turns.isEmpty() || !turns.get(turns.size() - 1).isQuestion()) {
            throw new ResponseStatusException(HttpStatus.BAD_REQUEST, "The last message must be a question.");
        }
        int length = 0;
        for (Answering.Turn turn : turns) {
            if (turn.content() == null || turn.content().isBlank()) {
                throw new ResponseStatusException(HttpStatus.BAD_REQUEST, "A message is empty.");
            }
            length += turn.content().length();
        }
        if (length > MOST) {
            throw new ResponseStatusException(HttpStatus.PAYLOAD_TOO_LARGE, "The conversation is too long.");
        }
    }
}
