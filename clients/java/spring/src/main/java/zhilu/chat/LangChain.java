package zhilu.chat;

import dev.langchain4j.agent.tool.P;
import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.memory.chat.MessageWindowChatMemory;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.rag.content.Content;
import dev.langchain4j.rag.content.retriever.ContentRetriever;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.service.TokenStream;
import java.time.Duration;
import java.util.List;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.stereotype.Component;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;

/** With LangChain4j, whose streams are turned into Spring's. */
@Component
@ConditionalOnProperty(name = "zhilu.library", havingValue = "langchain4j")
public class LangChain implements Answering {
    private final StreamingChatModel model;
    private final OrderTools tools;
    private final Knowledge knowledge;

    public LangChain(
            @Value("${zhilu.url}") String url,
            @Value("${zhilu.api-key}") String key,
            @Value("${zhilu.model}") String model,
            Orders orders,
            Knowledge knowledge) {
        this.model = OpenAiStreamingChatModel.builder()
                .baseUrl(url)
                .apiKey(key)
                .modelName(model)
                .maxTokens(512)
                .temperature(0.0)
                .timeout(Duration.ofMinutes(10))
                .build();
        this.tools = new OrderTools(orders);
        this.knowledge = knowledge;
    }

    /** LangChain4j makes the rest of it: the loop around tools, and passages in the prompt. */
    interface Assistant {
        TokenStream chat(String question);
    }

    /** What the model may call; the schema comes from the annotations. */
    static final class OrderTools {
        private final Orders orders;

        OrderTools(Orders orders) {
            this.orders = orders;
        }

        @Tool(name = "order_status", value = "Where an order is, by its number")
        String orderStatus(@P("The number of the order") String number) {
            return orders.statusOf(number);
        }
    }

    @Override
    public Flux<String> answer(List<Turn> turns, String knowledgeBase) {
        MessageWindowChatMemory memory = MessageWindowChatMemory.withMaxMessages(20);
        for (Turn turn : turns.subList(0, turns.size() - 1)) {
            memory.add(turn.isQuestion() ? UserMessage.from(turn.content()) : AiMessage.from(turn.content()));
        }
        AiServices<Assistant> service = AiServices.builder(Assistant.class)
                .streamingChatModel(model)
                .systemMessageProvider(id -> RULES)
                .chatMemory(memory);
        if (knowledgeBase == null) {
            service.tools(tools);
        } else {
            ContentRetriever retriever = query -> knowledge.search(knowledgeBase, query.text()).stream()
                    .map(passage -> Content.from(passage.text()))
                    .toList();
            service.contentRetriever(retriever);
        }
        TokenStream stream = service.build().chat(turns.get(turns.size() - 1).content());
        return Flux.create(sink -> passOn(stream, sink));
    }

    private static void passOn(TokenStream stream, FluxSink<String> sink) {
        stream.onPartialResponseWithContext((piece, context) -> {
                    // Without it the model would write on for nobody.
                    if (sink.isCancelled()) context.streamingHandle().cancel();
                    else sink.next(piece.text());
                })
                .onCompleteResponse(reply -> sink.complete())
                .onError(sink::error)
                .start();
    }
}
